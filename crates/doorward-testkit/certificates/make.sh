#!/bin/sh
# Makes the certificates of this folder anew. All clients have the same key: who they are is their certificate.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/ca.cnf" <<'CONFIG'
oid_section = oids
[oids]
userUid = 1.3.6.1.4.1.57683.2
[ca]
default_ca = issuer
[issuer]
dir = $ENV::DIR
database = $dir/index
new_certs_dir = $dir
rand_serial = yes
default_md = sha256
default_startdate = 20200101000000Z
default_enddate = 21200101000000Z
default_crl_days = 36500
policy = any
unique_subject = no
crlnumber = $dir/crlnumber
[any]
commonName = optional
[req]
distinguished_name = dn
string_mask = utf8only
[dn]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
CONFIG

key() { openssl ecparam -genkey -name prime256v1 -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }

# authority NAME: a certificate authority of its own.
authority() {
    mkdir "$work/$1"; : > "$work/$1/index"; echo 01 > "$work/$1/crlnumber"; key "$work/$1/key"
    export DIR="$work/$1"
    openssl req -new -config "$work/ca.cnf" -key "$work/$1/key" -subj "/CN=$1" -out "$work/request"
    openssl ca -batch -notext -selfsign -config "$work/ca.cnf" -keyfile "$work/$1/key" -extensions authority \
        -in "$work/request" -out "$1.pem" 2> "$work/log" || { cat "$work/log"; exit 1; }
}

# leaf ISSUER FILE SUBJECT EXTENSIONS [more options of openssl ca]
leaf() {
    issuer=$1; file=$2; subject=$3; extensions=$4; shift 4
    certificate=$issuer.pem; [ -e "$certificate" ] || certificate="$work/$issuer/cert.pem"
    export DIR="$work/$issuer"
    openssl req -new -config "$work/ca.cnf" -key "${KEY:-client-key.pem}" -subj "$subject" -out "$work/request"
    openssl ca -batch -notext -preserveDN -config "$work/ca.cnf" -cert "$certificate" -keyfile "$work/$issuer/key" \
        -extensions "$extensions" -in "$work/request" -out "$file" "$@" 2> "$work/log" || { cat "$work/log"; exit 1; }
}

key client-key.pem
authority clients
authority strangers
authority proxies
leaf clients bob.pem "/O=dev/O=ops/CN=bob" client
leaf clients carol.pem "/CN=carol/userUid=c-1" client
leaf clients two-uids.pem "/CN=mallory/userUid=a/userUid=b" client
leaf clients nameless.pem "/O=dev" client
leaf clients two-names.pem "/CN=bob/CN=root" client
leaf clients reserved-groups.pem "/O=system:unauthenticated/O=system:authenticated/O=dev/CN=dave" client
leaf clients reserved-name.pem "/CN=system:anonymous" client
leaf clients server-only.pem "/CN=bob" server
leaf clients expired.pem "/CN=bob" client -startdate 20000101000000Z -enddate 20010101000000Z
leaf clients future.pem "/CN=bob" client -startdate 21000101000000Z -enddate 21010101000000Z
leaf clients revoked.pem "/CN=erin" client
leaf strangers stranger.pem "/O=dev/CN=bob" client
leaf proxies edge.pem "/CN=edge" client
leaf proxies other-edge.pem "/CN=other" client

# An intermediate authority, and a chain through it.
mkdir "$work/intermediate"; : > "$work/intermediate/index"; key "$work/intermediate/key"
KEY="$work/intermediate/key" leaf clients "$work/intermediate/cert.pem" "/CN=intermediate" authority
leaf intermediate "$work/frank.pem" "/CN=frank" client
cat "$work/frank.pem" "$work/intermediate/cert.pem" > frank-chain.pem
cp "$work/frank.pem" frank-alone.pem

export DIR="$work/clients"
openssl ca -config "$work/ca.cnf" -cert clients.pem -keyfile "$work/clients/key" -revoke revoked.pem 2> "$work/log"
openssl ca -config "$work/ca.cnf" -cert clients.pem -keyfile "$work/clients/key" -gencrl \
    -crl_lastupdate 20200101000000Z -crl_nextupdate 21200101000000Z -out clients.crl 2> "$work/log"
