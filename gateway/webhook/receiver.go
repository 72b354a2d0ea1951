package webhook

import (
	"net/url"
	"strings"
)

// receiver is who is told: a webhook, or a host of callbacks. What is on its way to one
// is nobody else's burden. Without a host it stands for all callbacks of a tenant,
// without a target for all that is the tenant's.
type receiver struct {
	tenant string
	// target is a webhook's id, or [callbackTarget].
	target string
	// host of the callback's address, with its port.
	host string
}

// receiverOf is who is told by a delivery to a webhook, or if its id is empty to a callback's address.
func receiverOf(tenant, webhook, address string) receiver {
	if webhook != "" {
		return receiver{tenant: tenant, target: webhook}
	}
	host := "?" // what cannot be read is one host, and not all of them
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host = strings.ToLower(u.Host)
	}
	return receiver{tenant, callbackTarget, host}
}

// everybody of a tenant.
func everybody(tenant string) receiver { return receiver{tenant: tenant} }

func (r receiver) covers(one receiver) bool {
	return r.tenant == one.tenant && (r.target == "" || r.target == one.target) && (r.host == "" || r.host == one.host)
}
