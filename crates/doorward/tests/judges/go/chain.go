package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	x509request "k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"
)

// The same requests go to a handler behind the authenticators of the Kubernetes API server, wired as the API server
// does, and to doorward; both tell whom they see and what of the request is left.
type chainSettings struct {
	// Where doorward listens with TLS, and where it expects its application.
	Doorward string
	Upstream string
	// The folder of `certificates`.
	Certificates string
	// Whether somebody without credentials is let in as anonymous.
	Anonymous bool
	// Whether a proxy in front may name users.
	FrontProxy bool
	// Tokens that are valid, and whose they are.
	Tokens map[string]identity
	// One of them, as it is used in the cases.
	Good string
}

type identity struct {
	Name   string              `json:"name"`
	UID    string              `json:"uid"`
	Groups []string            `json:"groups"`
	Extra  map[string][]string `json:"extra"`
}

// What became of one request.
type verdict struct {
	Status int `json:"status"`
	// Whom the handler saw; nothing when it was not reached.
	Identity *identity `json:"identity,omitempty"`
	// Headers with credentials or identities that the handler still got.
	Left map[string][]string `json:"left,omitempty"`
	// The subprotocol of the answer.
	Protocol string `json:"protocol,omitempty"`
}

type probe struct {
	name        string
	headers     []string
	certificate string
}

const (
	subprotocolPrefix = "base64url.bearer.authorization.k8s.io."
	remotePrefix      = "X-Remote-"
)

var (
	nameHeaders  = headerrequest.StaticStringSlice{"X-Remote-User"}
	uidHeaders   = headerrequest.StaticStringSlice{"X-Remote-Uid"}
	groupHeaders = headerrequest.StaticStringSlice{"X-Remote-Group"}
	extraHeaders = headerrequest.StaticStringSlice{"X-Remote-Extra-"}
)

func compareChains(path string) error {
	var settings chainSettings
	if err := readSettings(path, &settings); err != nil {
		return err
	}
	oracle, err := startOracle(&settings)
	if err != nil {
		return err
	}
	defer oracle.Close()
	application, err := startApplication(settings.Upstream)
	if err != nil {
		return err
	}
	defer application.Close()
	for _, probe := range append(probes(settings.Good), crossings(settings.Good)...) {
		expected, err := send(&settings, oracle.Listener.Addr().String(), probe)
		if err != nil {
			return fmt.Errorf("%s: the oracle: %w", probe.name, err)
		}
		line := map[string]any{"case": probe.name, "kubernetes": expected}
		if seen, err := send(&settings, settings.Doorward, probe); err != nil {
			line["failure"] = err.Error()
		} else {
			line["doorward"] = seen
		}
		printLine(line)
	}
	return nil
}

// The cases. A name begins with the number of the law that it is about.
func probes(good string) []probe {
	item := func(token string) string {
		return subprotocolPrefix + base64.RawURLEncoding.EncodeToString([]byte(token))
	}
	upgrade := func(protocols ...string) []string {
		headers := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
		for _, protocol := range protocols {
			headers = append(headers, "Sec-WebSocket-Protocol: "+protocol)
		}
		return headers
	}
	with := func(headers []string, more ...string) []string { return append(slices.Clone(headers), more...) }
	bearer := "Authorization: Bearer " + good
	bad := "Authorization: Bearer sha256~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	badItem := item("sha256~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	carol := []string{"X-Remote-User: carol"}
	return []probe{
		{"a01 nothing", nil, ""},
		{"a03 token", []string{bearer}, ""},
		{"a04 scheme in odd case", []string{"Authorization: bEaReR " + good}, ""},
		{"a04 word behind the token", []string{bearer + " trailing"}, ""},
		{"a04 blanks around", []string{"Authorization:    Bearer " + good + "   "}, ""},
		{"a04 scheme in capitals", []string{"Authorization: BEARER " + good}, ""},
		{"a05 comma behind the token", []string{bearer + ","}, ""},
		{"a05 tab behind the token", []string{bearer + "\ttrailing"}, ""},
		{"a05 a token of nine kilobytes", []string{bearer + strings.Repeat("x", 9000)}, ""},
		{"a05 unknown token", []string{bad}, ""},
		{"a05 token without its prefix", []string{"Authorization: Bearer " + strings.TrimPrefix(good, "sha256~")}, ""},
		{"a05 a token that is none", []string{"Authorization: Bearer \"x\""}, ""},
		{"a06 scheme alone", []string{"Authorization: Bearer"}, ""},
		{"a06 two blanks", []string{"Authorization: Bearer  " + good}, ""},
		{"a06 another scheme", []string{"Authorization: Basic Z29vZDo="}, ""},
		{"a06 token without a scheme", []string{"Authorization: " + good}, ""},
		{"a06 tab for a blank", []string{"Authorization: Bearer\t" + good}, ""},
		{"a06 empty header", []string{"Authorization:"}, ""},
		{"a09 subprotocol", upgrade(item(good) + ", chat"), ""},
		{"a09 subprotocol behind others", upgrade("chat, other," + item(good)), ""},
		{"a09 subprotocols in two lines", upgrade("chat", item(good)), ""},
		{"a09 subprotocol and bad bearer", with(upgrade(item(good)+", chat"), bad), ""},
		{"a09 upgrade among other words", with([]string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-WebSocket-Protocol: "+item(good)+",chat"), ""},
		{"a10 only the token", upgrade(item(good)), ""},
		{"a11 two tokens", upgrade(item(good) + "," + item(good) + ",chat"), ""},
		{"a11 two tokens in two lines", upgrade(item(good)+",chat", item(good)), ""},
		{"a11 padding", upgrade(subprotocolPrefix + base64.URLEncoding.EncodeToString([]byte(good+"x")) + ",chat"), ""},
		{"a11 not base64url", upgrade(subprotocolPrefix + "a+b/" + ",chat"), ""},
		{"a11 not UTF-8", upgrade(subprotocolPrefix + base64.RawURLEncoding.EncodeToString([]byte{0xff, 0xfe, 0xfd}) + ",chat"), ""},
		{"a11 bad token", upgrade(badItem + ",chat"), ""},
		{"a11 empty token", upgrade(subprotocolPrefix + ",chat"), ""},
		{"a12 subprotocol without upgrade", []string{"Sec-WebSocket-Protocol: " + item(good) + ",chat"}, ""},
		{"a12 bad subprotocol without upgrade", []string{"Sec-WebSocket-Protocol: " + badItem + ",chat"}, ""},
		{"a12 upgrade without subprotocols", upgrade(), ""},
		{"a13 good bearer and bad subprotocol", with(upgrade(badItem+",chat"), bearer), ""},
		{"a14 certificate", nil, "bob"},
		{"a14 certificate with a uid", nil, "bob-with-uid"},
		{"a15 certificate of a stranger", nil, "bob-of-strangers"},
		{"a15 expired certificate", nil, "bob-of-yesterday"},
		{"a15 certificate of a server", nil, "bob-as-server"},
		{"a16 bad certificate and good bearer", []string{bearer}, "bob-of-strangers"},
		{"a16 good certificate and bad bearer", []string{bad}, "bob"},
		{"a16 good certificate and good bearer", []string{bearer}, "bob"},
		{"a16 bad certificate and bad bearer", []string{bad}, "bob-of-strangers"},
		{"a17 certificate without a name", nil, "nobody"},
		{"a17 two uids", nil, "bob-with-two-uids"},
		{"a17 empty uid", nil, "bob-with-empty-uid"},
		{"a18 front proxy", with(carol, "X-Remote-Uid: uid-9", "X-Remote-Group: dev", "X-Remote-Group: ops", "X-Remote-Extra-Acme.com%2fproject: one", "X-Remote-Extra-Acme.com%2fproject: two"), "edge"},
		{"a18 front proxy without groups", carol, "edge"},
		{"a18 front proxy names nobody", []string{"X-Remote-Group: dev"}, "edge"},
		{"a18 front proxy and good bearer", with(carol, bearer), "edge"},
		{"a18 front proxy and bad bearer", with(carol, bad), "edge"},
		{"a19 headers without a certificate", with(carol, "X-Remote-Group: ops"), ""},
		{"a19 proxy of another name", carol, "other-edge"},
		{"a19 headers with the certificate of a user", with(carol, "X-Remote-Group: ops"), "bob"},
		{"a19 headers with a bearer", with(carol, "X-Remote-Group: ops", "X-Remote-Extra-Acme: x", bearer), ""},
		{"a19 headers with the certificate of a stranger", carol, "bob-of-strangers"},
	}
}

// Every kind of bearer with every kind of subprotocol, certificate and header of a proxy.
func crossings(good string) []probe {
	item := subprotocolPrefix + base64.RawURLEncoding.EncodeToString([]byte(good))
	badItem := subprotocolPrefix + base64.RawURLEncoding.EncodeToString([]byte("sha256~unknown"))
	bearers := map[string]string{"no": "", "good": "Bearer " + good, "bad": "Bearer sha256~unknown", "empty": "Bearer", "other": "Basic eDp5"}
	protocols := map[string]string{"no": "", "good": item + ", chat", "bad": badItem + ", chat", "lonely": item, "empty": subprotocolPrefix + ", chat"}
	certificates := []string{"", "bob", "bob-of-strangers", "bob-with-two-uids", "nobody", "edge", "other-edge"}
	var all []probe
	for _, bearer := range slices.Sorted(maps.Keys(bearers)) {
		for _, protocol := range slices.Sorted(maps.Keys(protocols)) {
			for _, certificate := range certificates {
				for _, proxy := range []string{"", "carol"} {
					var headers []string
					add := func(name, value string) {
						if value != "" {
							headers = append(headers, name+": "+value)
						}
					}
					add("Authorization", bearers[bearer])
					if protocols[protocol] != "" {
						headers = append(headers, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
					}
					add("Sec-WebSocket-Protocol", protocols[protocol])
					add("X-Remote-User", proxy)
					name := fmt.Sprintf("a16 %s bearer, %s subprotocol, certificate %q, proxy says %q", bearer, protocol, certificate, proxy)
					all = append(all, probe{name, headers, certificate})
				}
			}
		}
	}
	return all
}

// The chain of the Kubernetes API server: k8s.io/kubernetes/pkg/kubeapiserver/authenticator orders it like this.
func startOracle(settings *chainSettings) (*httptest.Server, error) {
	clients, err := verification(settings, "clients")
	if err != nil {
		return nil, err
	}
	proxies, err := verification(settings, "proxies")
	if err != nil {
		return nil, err
	}
	tokens := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		who, known := settings.Tokens[token]
		if !known {
			return nil, false, nil
		}
		info := &user.DefaultInfo{Name: who.Name, UID: who.UID, Groups: who.Groups, Extra: who.Extra}
		return &authenticator.Response{User: info}, true, nil
	})
	allowed := headerrequest.StaticStringSlice{"edge"}
	var authenticators []authenticator.Request
	if settings.FrontProxy {
		authenticators = append(authenticators, headerrequest.NewDynamicVerifyOptionsSecure(proxies, allowed, nameHeaders, uidHeaders, groupHeaders, extraHeaders))
	}
	chain := group.NewAuthenticatedGroupAdder(union.New(append(authenticators,
		x509request.NewDynamic(clients, x509request.CommonNameUserConversion),
		bearertoken.New(tokens),
		websocket.NewProtocolAuthenticator(tokens),
	)...))
	if settings.Anonymous {
		chain = union.NewFailOnError(chain, anonymous.NewAuthenticator(nil))
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		response, ok, err := chain.AuthenticateRequest(request)
		if err != nil || !ok {
			http.Error(writer, "Unauthorized", http.StatusUnauthorized)
			return
		}
		request.Header.Del("Authorization")
		headerrequest.ClearAuthenticationHeaders(request.Header, nameHeaders, uidHeaders, groupHeaders, extraHeaders)
		describe(writer, request, response.User)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	return server, nil
}

func verification(settings *chainSettings, authority string) (x509request.VerifyOptionFunc, error) {
	text, err := os.ReadFile(filepath.Join(settings.Certificates, authority+".pem"))
	if err != nil {
		return nil, err
	}
	options := x509request.DefaultVerifyOptions()
	options.Roots = x509.NewCertPool()
	options.Roots.AppendCertsFromPEM(text)
	return func() (x509.VerifyOptions, bool) { return options, true }, nil
}

// The application behind doorward reads who is asking as an aggregated API server does.
func startApplication(address string) (*http.Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	reader, err := headerrequest.New(nameHeaders, uidHeaders, groupHeaders, extraHeaders)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		response, ok, err := reader.AuthenticateRequest(request)
		if err != nil || !ok {
			describe(writer, request, nil)
			return
		}
		// Reading takes these away; what the client may have sent besides is left.
		describe(writer, request, response.User)
	})}
	go server.Serve(listener)
	return server, nil
}

// Answers with what the handler knows; to an upgrade after the switch, as bytes of the new protocol.
func describe(writer http.ResponseWriter, request *http.Request, who user.Info) {
	seen := verdict{Status: http.StatusOK, Left: leftovers(request.Header)}
	if who != nil {
		seen.Identity = &identity{who.GetName(), who.GetUID(), who.GetGroups(), who.GetExtra()}
	}
	if !strings.EqualFold(request.Header.Get("Upgrade"), "websocket") {
		writer.Header().Set("Content-Type", "application/json")
		json.NewEncoder(writer).Encode(seen)
		return
	}
	seen.Status = http.StatusSwitchingProtocols
	connection, buffered, err := writer.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	if offered := offeredProtocols(request.Header); len(offered) > 0 {
		head += "Sec-WebSocket-Protocol: " + offered[0] + "\r\n"
	}
	buffered.WriteString(head + "\r\n")
	json.NewEncoder(buffered).Encode(seen)
	buffered.Flush()
}

func offeredProtocols(header http.Header) []string {
	var offered []string
	for _, value := range header.Values("Sec-WebSocket-Protocol") {
		for _, item := range strings.Split(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				offered = append(offered, item)
			}
		}
	}
	return offered
}

func leftovers(header http.Header) map[string][]string {
	left := map[string][]string{}
	for name, values := range header {
		if name == "Authorization" || strings.HasPrefix(name, remotePrefix) {
			left[name] = values
		}
	}
	if offered := offeredProtocols(header); len(offered) > 0 {
		left["Sec-WebSocket-Protocol"] = offered
	}
	return left
}

// One request, written as it stands.
func send(settings *chainSettings, address string, probe probe) (*verdict, error) {
	configuration := &tls.Config{InsecureSkipVerify: true}
	if probe.certificate != "" {
		base := filepath.Join(settings.Certificates, probe.certificate)
		certificate, err := tls.LoadX509KeyPair(base+".pem", base+"-key.pem")
		if err != nil {
			return nil, err
		}
		// Also where the server names authorities that did not sign it.
		configuration.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
	}
	connection, err := tls.Dial("tcp", address, configuration)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	text := "GET /api/thing HTTP/1.1\r\nHost: " + address + "\r\nAccept: application/json\r\n"
	for _, header := range probe.headers {
		text += header + "\r\n"
	}
	if _, err := connection.Write([]byte(text + "\r\n")); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	seen := &verdict{Status: response.StatusCode, Protocol: response.Header.Get("Sec-WebSocket-Protocol")}
	switch response.StatusCode {
	case http.StatusOK:
		err = json.NewDecoder(response.Body).Decode(seen)
	case http.StatusSwitchingProtocols:
		err = json.NewDecoder(reader).Decode(seen)
	}
	if seen.Identity != nil {
		sort.Strings(seen.Identity.Groups)
		seen.Identity.Extra = readable(seen.Identity.Extra)
	}
	return seen, err
}

// Keys of extra facts in lower case, as both sides understand them.
func readable(extra map[string][]string) map[string][]string {
	read := map[string][]string{}
	for key, values := range extra {
		if unescaped, err := url.PathUnescape(key); err == nil {
			key = unescaped
		}
		read[strings.ToLower(key)] = values
	}
	return read
}
