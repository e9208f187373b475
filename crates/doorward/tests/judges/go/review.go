package main

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	"k8s.io/client-go/rest"
)

// Tokens are reviewed by doorward for the webhook authenticator of the Kubernetes API server.
type reviewSettings struct {
	Server      string
	Authority   string
	Certificate string
	Key         string
	// Each with the audiences that are asked for.
	Tokens []struct {
		Token     string
		Audiences []string
	}
}

func reviewTokens(path string) error {
	var settings reviewSettings
	if err := readSettings(path, &settings); err != nil {
		return err
	}
	config := &rest.Config{
		Host:            settings.Server + "/apis/authentication.k8s.io/v1/tokenreviews",
		TLSClientConfig: rest.TLSClientConfig{CAFile: settings.Authority, CertFile: settings.Certificate, KeyFile: settings.Key},
	}
	backoff := *webhook.DefaultRetryBackoff()
	backoff.Steps = 1
	reviewer, err := webhook.New(config, "v1", nil, backoff)
	if err != nil {
		return err
	}
	for _, asked := range settings.Tokens {
		ctx := context.Background()
		if len(asked.Audiences) > 0 {
			ctx = authenticator.WithAudiences(ctx, asked.Audiences)
		}
		response, ok, err := reviewer.AuthenticateToken(ctx, asked.Token)
		line := map[string]any{"authenticated": ok}
		if err != nil {
			line["error"] = err.Error()
		}
		if response != nil {
			who := response.User
			line["identity"] = identity{who.GetName(), who.GetUID(), who.GetGroups(), who.GetExtra()}
			line["audiences"] = response.Audiences
		}
		printLine(line)
	}
	return nil
}
