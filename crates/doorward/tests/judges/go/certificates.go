package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The attribute of a subject that Kubernetes reads the uid of a user from.
var uidAttribute = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

type wish struct {
	name    string
	signer  string
	subject pkix.Name
	usage   x509.ExtKeyUsage
	ended   bool
}

// Writes NAME.pem and NAME-key.pem for everybody, and NAME.pem for the authorities.
func makeCertificates(folder string) error {
	authorities := map[string]*authority{}
	for _, name := range []string{"clients", "proxies", "strangers", "servers"} {
		made, err := makeAuthority(folder, name)
		if err != nil {
			return err
		}
		authorities[name] = made
	}
	client, server := x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth
	bob := pkix.Name{CommonName: "bob", Organization: []string{"dev", "ops"}}
	uid := func(values ...string) pkix.Name {
		name := pkix.Name{CommonName: "bob"}
		for _, value := range values {
			name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{Type: uidAttribute, Value: value})
		}
		return name
	}
	for _, wish := range []wish{
		{"server", "servers", pkix.Name{CommonName: "localhost"}, server, false},
		{"bob", "clients", bob, client, false},
		{"bob-of-strangers", "strangers", bob, client, false},
		{"bob-of-yesterday", "clients", bob, client, true},
		{"bob-as-server", "clients", bob, server, false},
		{"bob-with-uid", "clients", uid("uid-7"), client, false},
		{"bob-with-two-uids", "clients", uid("uid-7", "uid-8"), client, false},
		{"bob-with-empty-uid", "clients", uid(""), client, false},
		{"nobody", "clients", pkix.Name{Organization: []string{"dev"}}, client, false},
		{"pretender", "clients", pkix.Name{CommonName: "mallory", Organization: []string{"dev", "system:unauthenticated"}}, client, false},
		{"reviewer", "clients", pkix.Name{CommonName: "reviewer"}, client, false},
		{"edge", "proxies", pkix.Name{CommonName: "edge"}, client, false},
		{"other-edge", "proxies", pkix.Name{CommonName: "other"}, client, false},
	} {
		if err := makeCertificate(folder, wish, authorities[wish.signer]); err != nil {
			return err
		}
	}
	return nil
}

func makeAuthority(folder, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "authority of " + name},
		NotBefore:             time.Now().Add(-48 * time.Hour),
		NotAfter:              time.Now().Add(48 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	certificate, err := sign(folder, name, template, template, key, key)
	return &authority{certificate, key}, err
}

func makeCertificate(folder string, wish wish, signer *authority) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:     wish.subject,
		NotBefore:   time.Now().Add(-24 * time.Hour),
		NotAfter:    time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{wish.usage},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if wish.ended {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	if _, err := sign(folder, wish.name, template, signer.certificate, key, signer.key); err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(folder, wish.name+"-key", "PRIVATE KEY", encoded, 0o600)
}

func sign(folder, name string, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	encoded, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	if err := writePEM(folder, name, "CERTIFICATE", encoded, 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(encoded)
}

func writePEM(folder, name, kind string, encoded []byte, mode os.FileMode) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: encoded})
	return os.WriteFile(filepath.Join(folder, name+".pem"), text, mode)
}
