package api

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

func box(id string, labels map[string]string, offers ...schemas.Offering) schemas.Executor {
	return schemas.Executor{Facts: schemas.Facts{Executor: id, Labels: labels, Offers: offers}}
}

func TestRefusalSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	vm := schemas.Offering{Arch: "amd64", Isolation: "vm", Accel: "tcg", Kernel: "6.1.0-32"}
	arm := schemas.Offering{Arch: "arm64", Isolation: "vm", Accel: "tcg"}
	fleet := []schemas.Executor{
		box("far", nil, arm), box("cellar", map[string]string{"site": "basement"}, vm), box("attic", map[string]string{"site": "attic"}, vm),
	}
	fleet[1].State = "lost"
	needs := schemas.Requires{Arch: "amd64", Isolation: "strong", Labels: map[string]string{"site": "basement", "gpu": "yes"}}
	var p *schemas.ProblemDocument
	if err := somebodyCan("ann", needs, fleet); !errors.As(err, &p) {
		t.Fatalf("accepted: %v", err)
	}
	want := "no executor offers amd64, strong isolation, label gpu=yes, label site=basement; " +
		"nearest: cellar lacks label gpu=yes; attic lacks label gpu=yes, label site=basement (it has attic); " +
		"far lacks label gpu=yes, label site=basement, arch amd64 (it has arm64); " +
		"on offer: amd64 vm tcg, arm64 vm tcg; labels site=attic, site=basement"
	if p.Detail != want {
		t.Errorf("detail\n%s, want\n%s", p.Detail, want)
	}
	delete(needs.Labels, "gpu")
	if err := somebodyCan("ann", needs, fleet); err != nil {
		t.Errorf("only a lost one can run it: %v", err)
	}
	if err := somebodyCan("ann", needs, nil); err != nil {
		t.Errorf("nothing is known: %v", err)
	}
}

// TestRefusalIsBounded: a large fleet does not make a large document.
func TestRefusalIsBounded(t *testing.T) {
	t.Parallel()
	var fleet []schemas.Executor
	for i := range 500 {
		name := strings.Repeat("x", 63-i%40)
		fleet = append(fleet, box("e", map[string]string{name: name}, schemas.Offering{Arch: "arm64", Isolation: "vm", Kernel: strings.Repeat("k", 256)}))
	}
	needs := schemas.Requires{Arch: "amd64", Isolation: "vm", Kernel: "6.1"}
	for range schemas.MaxFeatures {
		needs.Features = append(needs.Features, strings.Repeat("f", 32))
	}
	var p *schemas.ProblemDocument
	if !errors.As(somebodyCan("ann", needs, fleet), &p) || len(p.Detail) > 8<<10 || !strings.Contains(p.Detail, "and 20 more") {
		t.Errorf("detail of %d bytes: %v", len(p.Detail), p)
	}
}

func TestOwnerSaysWhoNamesAnExecutor(t *testing.T) {
	t.Parallel()
	lent := box("board", nil, schemas.Offering{Arch: "riscv64", Isolation: "vm"})
	lent.Owner, lent.Tenants = "ann", []string{"bob", "eve"}
	needs := schemas.Requires{Arch: "riscv64", Isolation: "vm", Executor: "board"}
	for tenant, may := range map[string]bool{"ann": true, "bob": true, "carl": false} {
		if err := somebodyCan(tenant, needs, []schemas.Executor{lent}); (err == nil) != may {
			t.Errorf("%s: %v", tenant, err)
		}
	}
	needs.Executor = ""
	if err := somebodyCan("carl", needs, []schemas.Executor{lent}); err != nil {
		t.Errorf("without its name: %v", err)
	}
	for tenant, want := range map[string][]string{"ann": {"bob", "eve"}, "bob": {"bob"}, "carl": nil} {
		if owner, got := ownNames(lent.Facts, tenant); owner != "ann" || !slices.Equal(got, want) {
			t.Errorf("%s sees owner %s, tenants %v", tenant, owner, got)
		}
	}
}

func TestArchOfAnAbsentExecutor(t *testing.T) {
	t.Parallel()
	lost := box("board", nil, schemas.Offering{Arch: "riscv64", Isolation: "vm"})
	lost.State = "lost"
	image := ResolvedImage{Archs: []string{"arm64", "riscv64"}}
	if arch, err := chooseArch(schemas.Requires{Isolation: "vm"}, image, []schemas.Executor{lost}); err != nil || arch != "riscv64" {
		t.Errorf("arch %s, %v", arch, err)
	}
}
