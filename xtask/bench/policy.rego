# Roles of people, and what each role may do: as most policies of routes are.
package bench

import rego.v1

default allow := false

roles := {"jane": ["reader", "buyer"], "joe": ["reader"]}

grants := {
	"buyer": [{"method": "POST", "path": "orders"}, {"method": "GET", "path": "app"}],
	"reader": [{"method": "GET", "path": "catalogue"}],
}

allow if {
	some role in roles[input.identity.user]
	some grant in grants[role]
	grant.method == input.attributes.request.http.method
	grant.path == input.parsed_path[0]
}
