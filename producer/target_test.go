package producer_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]schemas.Requires{
		"arm64":                {Arch: "arm64"},
		"amd64-vm":             {Arch: "amd64", Isolation: "vm"},
		"amd64-vm-kvm":         {Arch: "amd64", Isolation: "vm", Accel: "kvm"},
		"amd64-vm@6.1":         {Arch: "amd64", Isolation: "vm", Kernel: "6.1"},
		"any":                  {},
		"any-gvisor":           {Isolation: "gvisor"},
		"executor:cellar":      {Executor: "cellar"},
		"any/executor:cellar":  {Executor: "cellar"},
		"arm64/site=basement":  {Arch: "arm64", Labels: map[string]string{"site": "basement"}},
		"any/example.com/a=b":  {Labels: map[string]string{"example.com/a": "b"}},
		"any/a=b/c=/e=f=g":     {Labels: map[string]string{"a": "b", "c": "", "e": "f=g"}},
		"any/a=b/executor:x":   {Executor: "x", Labels: map[string]string{"a": "b"}},
		"any/executor:x/a=ü,b": {Executor: "x", Labels: map[string]string{"a": "ü,b"}},
		"amd64-vm@6.12.48+deb13-cloud-amd64/a=b": {
			Arch: "amd64", Isolation: "vm", Kernel: "6.12.48+deb13-cloud-amd64", Labels: map[string]string{"a": "b"},
		},
	} {
		got, err := producer.ParseTarget(text)
		if err != nil || got.Name != text || got.Optional || !reflect.DeepEqual(got.Requires, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if strings.ContainsAny(got.Folder(), "/\\:") {
			t.Errorf("%s has the folder %s", text, got.Folder())
		}
	}
	for text, want := range map[string]string{
		"":                   "of one executor write executor:ID",
		"cellar":             "of one executor write executor:ID",
		"x86_64-vm":          "did you mean amd64?",
		"amd64-docker":       "did you mean container?",
		"amd64-vm-xen":       "kvm, hvf, tcg",
		"amd64-vm-kvm-extra": "is not an accelerator",
		"amd64@":             "want a kernel after @",
		"amd64/":             "",
		"amd64/basement":     "want KEY=VALUE or executor:ID",
		"amd64/=x":           "want KEY=VALUE or executor:ID",
		"executor:":          "want executor:ID",
	} {
		_, err := producer.ParseTarget(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestTargetOverBase(t *testing.T) {
	t.Parallel()
	base := schemas.Requires{Isolation: "vm", Kernel: "6.1", Features: []string{"avx2"}, Labels: map[string]string{"a": "1", "b": "1"}}
	target, err := producer.ParseTarget("arm64@6.12/b=2/c=3")
	if err != nil {
		t.Fatal(err)
	}
	want := schemas.Requires{
		Arch: "arm64", Isolation: "vm", Kernel: "6.12", Features: []string{"avx2"}, Labels: map[string]string{"a": "1", "b": "2", "c": "3"},
	}
	if got := target.Over(base); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if len(base.Labels) != 2 {
		t.Errorf("base is now %+v", base)
	}
}

func fleet() []schemas.Executor {
	vm := func(accel, kernel string) schemas.Offering {
		return schemas.Offering{Arch: "amd64", Isolation: "vm", Accel: accel, Kernel: kernel}
	}
	riscv := schemas.Offering{Arch: "riscv64", Isolation: "container", Kernel: "6.6.1"}
	facts := func(id string, labels map[string]string, offers ...schemas.Offering) schemas.Facts {
		return schemas.Facts{Executor: id, Slots: 1, Labels: labels, Offers: offers}
	}
	return []schemas.Executor{
		{State: "up", Facts: facts("board", map[string]string{"site": "attic"}, riscv)},
		{State: "up", Facts: facts("one", nil, vm("kvm", "6.1.0-32-amd64"), vm("kvm", "6.12.1-amd64"), schemas.Offering{Arch: "amd64", Isolation: "gvisor"})},
		{State: "up", Facts: facts("two", nil, vm("tcg", "6.1.0-32-amd64"), riscv)},
		{State: "lost", Facts: facts("away", nil, schemas.Offering{Arch: "arm64", Isolation: "vm", Accel: "hvf"})},
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base schemas.Requires
		want []string
	}{
		"all":      {schemas.Requires{}, []string{"amd64-vm-kvm@6.1", "amd64-vm-kvm@6.12", "amd64-vm-tcg", "amd64-gvisor", "riscv64-container"}},
		"strong":   {schemas.Requires{Isolation: "strong", Accel: "kvm"}, []string{"amd64-vm@6.1", "amd64-vm@6.12"}},
		"label":    {schemas.Requires{Labels: map[string]string{"site": "attic"}}, []string{"riscv64-container"}},
		"executor": {schemas.Requires{Executor: "two"}, []string{"amd64-vm", "riscv64-container"}},
		"nothing":  {schemas.Requires{Arch: "arm64"}, nil},
	} {
		var got []string
		for _, k := range producer.Kinds(fleet(), c.base) {
			got = append(got, k.Name)
			again, err := producer.ParseTarget(k.Name)
			if err != nil || !reflect.DeepEqual(again.Requires, k.Requires) || !k.Optional {
				t.Errorf("%s: %+v is read back as %+v, %v", name, k, again, err)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestKernelsOfOneSeriesAreNamedInFull(t *testing.T) {
	t.Parallel()
	fleet := []schemas.Executor{{State: "up", Facts: schemas.Facts{Offers: []schemas.Offering{
		{Arch: "arm64", Isolation: "vm", Kernel: "6.1.0-9"}, {Arch: "arm64", Isolation: "vm", Kernel: "6.1.0-32"},
	}}}}
	kinds := producer.Kinds(fleet, schemas.Requires{})
	if len(kinds) != 2 || kinds[0].Name != "arm64-vm@6.1.0-32" || kinds[1].Name != "arm64-vm@6.1.0-9" {
		t.Errorf("%+v", kinds)
	}
}
