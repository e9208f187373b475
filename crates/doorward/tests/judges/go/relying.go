package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// A relying party on go-oidc. It takes one order a line and answers with one line; the browser is the caller's.
type relyingSettings struct {
	Issuer       string
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RedirectURI  string `json:"redirect_uri"`
}

type order struct {
	Do       string
	Scope    []string
	Callback string
	IDToken  string `json:"id_token"`
}

type relyingParty struct {
	settings relyingSettings
	provider *oidc.Provider
	config   oauth2.Config
	state    string
	nonce    string
	verifier string
	token    *oauth2.Token
	subject  string
}

func relyOnProvider(path string) error {
	party := &relyingParty{}
	if err := readSettings(path, &party.settings); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var order order
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		facts, err := party.obey(context.Background(), order)
		var refused *oauth2.RetrieveError
		switch {
		case errors.As(err, &refused):
			printLine(map[string]any{"refused": refused.ErrorCode, "status": refused.Response.StatusCode})
		case err != nil:
			printLine(map[string]any{"fault": err.Error()})
		default:
			printLine(facts)
		}
	}
	return lines.Err()
}

func (party *relyingParty) obey(ctx context.Context, order order) (map[string]any, error) {
	switch order.Do {
	case "discover":
		return party.discover(ctx)
	case "begin":
		return party.begin(order.Scope), nil
	case "finish":
		return party.finish(ctx, order.Callback)
	case "userinfo":
		return party.userinfo(ctx)
	case "refresh":
		return party.refresh(ctx)
	case "verify":
		return party.verify(ctx, order.IDToken)
	}
	return nil, fmt.Errorf("no order is named %s", order.Do)
}

func (party *relyingParty) discover(ctx context.Context) (map[string]any, error) {
	// Compares the issuer of the document with the one asked for.
	provider, err := oidc.NewProvider(ctx, party.settings.Issuer)
	if err != nil {
		return nil, err
	}
	party.provider = provider
	party.config = oauth2.Config{
		ClientID:     party.settings.ClientID,
		ClientSecret: party.settings.ClientSecret,
		Endpoint:     provider.Endpoint(),
		RedirectURL:  party.settings.RedirectURI,
	}
	facts := map[string]any{}
	return facts, provider.Claims(&facts)
}

func (party *relyingParty) begin(scopes []string) map[string]any {
	party.state, party.nonce, party.verifier = rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	party.config.Scopes = scopes
	address := party.config.AuthCodeURL(party.state, oidc.Nonce(party.nonce), oauth2.S256ChallengeOption(party.verifier))
	return map[string]any{"url": address}
}

func (party *relyingParty) finish(ctx context.Context, callback string) (map[string]any, error) {
	address, err := url.Parse(callback)
	if err != nil {
		return nil, err
	}
	answer := address.Query()
	if answer.Get("state") != party.state {
		return nil, errors.New("another state")
	}
	if answer.Get("iss") != party.settings.Issuer {
		return nil, errors.New("the answer names another issuer (RFC 9207)")
	}
	if code := answer.Get("error"); code != "" {
		return map[string]any{"refused": code}, nil
	}
	token, err := party.config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(party.verifier))
	if err != nil {
		return nil, err
	}
	party.token = token
	idToken, claims, err := party.checked(ctx, token.Extra("id_token"))
	if err != nil {
		return nil, err
	}
	if idToken.Nonce != party.nonce {
		return nil, errors.New("another nonce")
	}
	if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
		return nil, fmt.Errorf("at_hash: %w", err)
	}
	party.subject = idToken.Subject
	return party.tokens(claims), nil
}

func (party *relyingParty) checked(ctx context.Context, raw any) (*oidc.IDToken, map[string]any, error) {
	text, isText := raw.(string)
	if !isText {
		return nil, nil, errors.New("no id_token")
	}
	idToken, err := party.provider.Verifier(&oidc.Config{ClientID: party.settings.ClientID}).Verify(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	claims := map[string]any{}
	return idToken, claims, idToken.Claims(&claims)
}

func (party *relyingParty) tokens(claims map[string]any) map[string]any {
	return map[string]any{
		"claims": claims, "access_token": party.token.AccessToken, "refresh_token": party.token.RefreshToken,
		"id_token": party.token.Extra("id_token"), "scope": party.token.Extra("scope"), "token_type": party.token.TokenType,
	}
}

func (party *relyingParty) userinfo(ctx context.Context) (map[string]any, error) {
	info, err := party.provider.UserInfo(ctx, oauth2.StaticTokenSource(party.token))
	if err != nil {
		return nil, err
	}
	if info.Subject != party.subject {
		return nil, errors.New("userinfo is about somebody else")
	}
	claims := map[string]any{}
	return claims, info.Claims(&claims)
}

func (party *relyingParty) refresh(ctx context.Context) (map[string]any, error) {
	old := &oauth2.Token{RefreshToken: party.token.RefreshToken}
	token, err := party.config.TokenSource(ctx, old).Token()
	if err != nil {
		return nil, err
	}
	party.token = token
	claims := map[string]any{}
	if token.Extra("id_token") != nil {
		idToken, claims, err := party.checked(ctx, token.Extra("id_token"))
		if err != nil {
			return nil, err
		}
		if idToken.Subject != party.subject {
			return nil, errors.New("the new id_token is about somebody else")
		}
		return party.tokens(claims), nil
	}
	return party.tokens(claims), nil
}

func (party *relyingParty) verify(ctx context.Context, raw string) (map[string]any, error) {
	_, claims, err := party.checked(ctx, raw)
	return claims, err
}
