// Judges written on Go libraries: the authenticators of the Kubernetes API server, its token review client, and the
// OpenID Connect client coreos/go-oidc, which is an application behind the gateway too. Each prints what it found as JSON; the tests in Rust say what should be.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: judges certificates FOLDER | chain SETTINGS.json | review SETTINGS.json | relying SETTINGS.json | application SETTINGS.json"))
	}
	duties := map[string]func(string) error{
		"certificates": makeCertificates,
		"chain":        compareChains,
		"review":       reviewTokens,
		"relying":      relyOnProvider,
		"application":  verifyAsApplication,
	}
	duty, known := duties[os.Args[1]]
	if !known {
		fail(fmt.Errorf("no duty is named %s", os.Args[1]))
	}
	if err := duty(os.Args[2]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func readSettings(path string, settings any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, settings)
}

func printLine(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}
