import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.fabric8.openshift.api.model.User;
import io.fabric8.openshift.client.OpenShiftClient;

/**
 * Logs in by name and password as programs on fabric8's client do, and asks who it is. Arguments: URL of the server, file
 * with the authority of its certificate, name, password. Prints the user as JSON, which the server tells only to whoever
 * has a token, or ends with what the client says.
 */
public final class Login {
    public static void main(String[] words) throws Exception {
        Config config = new ConfigBuilder(Config.empty())
            .withMasterUrl(words[0])
            .withCaCertFile(words[1])
            .withUsername(words[2])
            .withPassword(words[3])
            .withRequestRetryBackoffLimit(0)
            .build();
        try (OpenShiftClient client = new KubernetesClientBuilder().withConfig(config).build().adapt(OpenShiftClient.class)) {
            User user = client.currentUser();
            System.out.println(Serialization.asJson(user));
        } catch (Exception failure) {
            for (Throwable reason = failure; reason != null; reason = reason.getCause()) {
                System.err.println(reason.getMessage());
            }
            System.exit(1);
        }
    }
}
