package main

import (
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/gateway/access"
)

// limitFlags say how often requests are let in.
type limitFlags struct {
	token, address float64
	proxies        []string
}

func (l *limitFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.Float64Var(&l.token, "rate-limit", access.DefaultRate, "at most `N` requests a second with one access token, twice as many at once; a batch counts as its jobs; 0: no limit")
	f.Float64Var(&l.address, "rate-limit-address", access.DefaultAddressRate, "at most `N` requests a second of an address without an accepted token, ten times as many at once; an unknown token counts ten times; 0: no limit")
	f.StringSliceVar(&l.proxies, "trusted-proxy", nil, "`ADDRESS` or network of a proxy, which is believed where requests come from (X-Forwarded-For, Forwarded); repeat for more")
	return f
}

func (l *limitFlags) limits() (*access.Limits, access.Proxies, error) {
	proxies, err := access.ParseProxies(l.proxies)
	if err != nil {
		return nil, nil, usageError{err}
	}
	limits, err := access.NewLimits(l.token, l.address)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return limits, proxies, nil
}
