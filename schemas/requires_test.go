package schemas

import (
	"strings"
	"testing"
)

func TestRequiredLabels(t *testing.T) {
	t.Parallel()
	f := Facts{Executor: "e1", Labels: map[string]string{"disk": "ssd", "spot": ""}, Offers: []Offering{{Arch: "amd64", Isolation: IsolationVM}}}
	for _, test := range []struct {
		labels map[string]string
		want   bool
	}{
		{nil, true},
		{map[string]string{"disk": "ssd"}, true},
		{map[string]string{"disk": "hdd"}, false},
		{map[string]string{"spot": ""}, true},
		{map[string]string{"gpu": ""}, false}, // an empty value is not a missing label
	} {
		r := Requires{Arch: "amd64", Isolation: IsolationVM, Labels: test.labels}
		if got := r.SatisfiedBy(f); got != test.want {
			t.Errorf("labels %q satisfied = %v", test.labels, got)
		}
	}
}

func TestRequiredModel(t *testing.T) {
	t.Parallel()
	have := "AMD EPYC 7763 64-Core Processor"
	for want, fits := range map[string]bool{
		"": true, "epyc 7763": true, "7763 EPYC": true, "amd": true, "epyc 776": false, "intel": false, "64-core": true,
	} {
		f := Facts{Offers: []Offering{{Arch: "amd64", Isolation: IsolationVM, CPUModel: have}}}
		if got := (Requires{Arch: "amd64", Isolation: IsolationVM, CPUModel: want}).SatisfiedBy(f); got != fits {
			t.Errorf("%q satisfied = %v", want, got)
		}
	}
	a, b := Requires{CPUModel: "EPYC 7763"}, Requires{CPUModel: "7763  (epyc)"}
	if a.Pool() != b.Pool() {
		t.Error("the same model makes two pools")
	}
}

func TestNamedBy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		f    Facts
		want string // who may
	}{
		{Facts{}, "ann bob"},
		{Facts{Owner: "ann"}, "ann"},
		{Facts{Owner: "ann", Tenants: []string{"bob"}}, "ann bob"},
		{Facts{Tenants: []string{"bob"}}, "bob"},
		{Facts{Owner: "eve", Tenants: []string{AnyTenant}}, "ann bob"},
	} {
		for _, tenant := range []string{"ann", "bob"} {
			if got := test.f.NamedBy(tenant); got != strings.Contains(test.want, tenant) {
				t.Errorf("%+v named by %s = %v", test.f, tenant, got)
			}
		}
	}
}
