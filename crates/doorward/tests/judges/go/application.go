package main

import (
	"context"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// An application behind the gateway, on go-oidc: finds keys by discovery, and verifies the tokens in its settings.
type applicationSettings struct {
	Issuer string
	Tokens []struct {
		Token    string
		Audience string
		// Seconds from now.
		Later int
	}
}

func verifyAsApplication(path string) error {
	settings := applicationSettings{}
	if err := readSettings(path, &settings); err != nil {
		return err
	}
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, settings.Issuer)
	if err != nil {
		return err
	}
	for _, one := range settings.Tokens {
		now := func() time.Time { return time.Now().Add(time.Duration(one.Later) * time.Second) }
		verifier := provider.Verifier(&oidc.Config{ClientID: one.Audience, Now: now})
		claims := map[string]any{}
		token, err := verifier.Verify(ctx, one.Token)
		if err == nil {
			err = token.Claims(&claims)
		}
		if err != nil {
			printLine(map[string]any{"refused": err.Error()})
			continue
		}
		printLine(map[string]any{"claims": claims})
	}
	return nil
}
