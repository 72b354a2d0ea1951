package schemas

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func vm(arch, accel string) Offering {
	return Offering{Arch: arch, Isolation: IsolationVM, Accel: accel}
}

func TestSurplus(t *testing.T) {
	t.Parallel()
	gvisor := Offering{Arch: "amd64", Isolation: IsolationGVisor}
	box := func(labels string, offers ...Offering) Facts {
		f := Facts{Executor: "e1", Offers: offers, Labels: map[string]string{}}
		for _, l := range strings.Fields(labels) {
			f.Labels[l] = ""
		}
		return f
	}
	plain := Requires{Arch: "amd64", Isolation: IsolationVM}
	strong := Requires{Arch: "amd64", Isolation: IsolationStrong}
	with := func(r Requires, change func(*Requires)) Requires { change(&r); return r }
	for _, test := range []struct {
		name string
		r    Requires
		f    Facts
		want int
	}{
		{"exact", plain, box("", vm("amd64", "tcg")), 0},
		{"another isolation blocked", plain, box("", vm("amd64", "tcg"), gvisor), 1},
		{"another arch blocked", plain, box("", vm("amd64", "tcg"), vm("riscv64", "tcg")), 1},
		{"the same kind twice is one", plain, box("", vm("amd64", "tcg"), vm("riscv64", "tcg"), vm("riscv64", "kvm")), 1},
		{"labels not asked for", plain, box("a b c", vm("amd64", "tcg")), 3},
		{"labels asked for", with(plain, func(r *Requires) { r.Labels = map[string]string{"a": "", "b": ""} }), box("a b c", vm("amd64", "tcg")), 1},
		{"acceleration not asked for", plain, box("", vm("amd64", "kvm")), 1},
		{"acceleration asked for", with(plain, func(r *Requires) { r.Accel = "kvm" }), box("", vm("amd64", "kvm")), 0},
		{"the offering with the least counts", plain, box("", vm("amd64", "kvm"), vm("amd64", "tcg")), 0},
		{"strong wants acceleration", strong, box("", vm("amd64", "kvm")), 0},
		{"else gVisor", strong, box("", gvisor, vm("amd64", "tcg")), 1},
		{"else emulation", strong, box("", vm("amd64", "tcg")), 2},
		{"named", with(plain, func(r *Requires) { r.Executor = "e1" }), box("a b c", vm("amd64", "tcg"), gvisor), 0},
		{"bounded", plain, box("a b c d e f g h i j k l", vm("amd64", "tcg")), MaxSurplus},
	} {
		if !test.r.SatisfiedBy(test.f) {
			t.Errorf("%s: does not fit", test.name)
		}
		if got := test.r.Surplus(test.f); got != test.want {
			t.Errorf("%s: surplus %d, want %d", test.name, got, test.want)
		}
	}
}

func TestLacks(t *testing.T) {
	t.Parallel()
	f := Facts{Executor: "cellar", Labels: map[string]string{"site": "basement"}, Offers: []Offering{
		{Arch: "amd64", Isolation: IsolationVM, Accel: "tcg", Kernel: "6.1.0-32", Features: []string{"avx2"}, CPUModel: "QEMU max"},
		{Arch: "riscv64", Isolation: IsolationVM, Accel: "tcg"},
	}}
	r := Requires{
		Arch: "amd64", Isolation: IsolationVM, Accel: "kvm", Kernel: "6.12", Features: []string{"avx2", "avx512f"}, CPUModel: "epyc",
		Labels: map[string]string{"site": "attic", "gpu": "yes"}, Executor: "attic",
	}
	want := "the name attic|label gpu=yes|label site=attic (it has basement)|accel kvm (it has tcg)|kernel 6.12 (it has 6.1.0-32)|" +
		"CPU feature avx512f|CPU model epyc (it has QEMU max)"
	if got := strings.Join(r.Lacks(f), "|"); got != want {
		t.Errorf("lacks\n%s, want\n%s", got, want)
	}
}

// TestLacksAgrees: nothing is lacking exactly where the facts satisfy, and the surplus is in its range.
func TestLacksAgrees(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	labels := func() map[string]string {
		if rng.IntN(2) == 0 {
			return nil
		}
		return map[string]string{pick("a", "b"): pick("x", "y")}
	}
	satisfied := 0
	for range 20_000 {
		f := Facts{Executor: pick("e1", "e2"), Labels: labels()}
		for range rng.IntN(3) {
			f.Offers = append(f.Offers, Offering{
				Arch: pick(Archs...), Isolation: pick(Isolations[1:]...), Accel: pick("", "kvm", "tcg"), Kernel: pick("6.1.0", "6.12.1"),
				Features: []string{pick("avx2", "sve")}, CPUModel: pick("A 1", "B 1"),
			})
		}
		r := Requires{
			Arch: pick(Archs...), Isolation: pick(Isolations...), Accel: pick("", "", "tcg"), Kernel: pick("", "6.1"),
			CPUModel: pick("", "a"), Labels: labels(), Executor: pick("", "", "e1"),
		}
		if rng.IntN(2) == 0 {
			r.Features = []string{pick("avx2", "sve")}
		}
		fits := r.SatisfiedBy(f)
		if lacks := r.Lacks(f); fits != (len(lacks) == 0) {
			t.Fatalf("%+v satisfied by %+v = %v, lacks %q", r, f, fits, lacks)
		}
		if s := r.Surplus(f); fits && (s < 0 || s > MaxSurplus) {
			t.Fatalf("%+v has surplus %d for %+v", f, s, r)
		}
		if fits {
			satisfied++
		}
	}
	if satisfied < 100 {
		t.Errorf("only %d of the samples fit", satisfied)
	}
}
