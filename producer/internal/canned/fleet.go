package canned

import (
	"fmt"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// Fleet replaces the executors that the gateway lists.
func (g *Gateway) Fleet(fleet []schemas.Executor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fleet = fleet
}

// executors answers with the fleet, or with a sample of package schemas.
func (g *Gateway) executors(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	fleet := g.fleet
	g.mu.Unlock()
	if fleet == nil {
		g.golden("executor-list", "executor-list.two")(w, r)
		return
	}
	g.reply(w, http.StatusOK, "executor-list", schemas.ExecutorList{Executors: fleet})
}

// FiveKinds is a fleet of three unlike executors: one of this sort with two
// kernels, a busy board, and one that is away.
func FiveKinds() []schemas.Executor {
	features := make([]string, 0, 90)
	for i := range 86 {
		features = append(features, fmt.Sprintf("f%d", i))
	}
	features = append(features, "aes", "avx", "avx2", "sse4_2")
	one := schemas.Facts{
		Executor: "workshop-1", Instance: "1", Version: "v0.1.0", Slots: 4, HostArch: "amd64", HostOS: "linux", HostKernel: "6.12.48+deb13-amd64",
		CPUModel: "AMD EPYC 7B13", CPUs: 8, MemoryBytes: 32 << 30, Labels: map[string]string{"site": "Gewächshaus"},
		Offers: []schemas.Offering{
			{Arch: "amd64", Isolation: "vm", Accel: "kvm", AccelReason: "a trial boot took 0.4 s", Kernel: "6.1.0-32-cloud-amd64", CPUModel: "AMD EPYC 7B13", Features: features},
			{Arch: "amd64", Isolation: "gvisor", Kernel: "4.4.0", CPUModel: "AMD EPYC 7B13", Features: features},
			{Arch: "arm64", Isolation: "vm", Accel: "tcg", Kernel: "6.1.0-32-cloud-arm64", CPUModel: "cortex-a72"},
		},
	}
	board := schemas.Facts{
		Executor: "board", Instance: "1", Version: "v0.1.0", Slots: 1, HostArch: "riscv64", HostOS: "linux", CPUModel: "板 2号", CPUs: 4,
		Labels: map[string]string{"site": "屋根裏", "rack": "2"}, Owner: "lena", Tenants: []string{"max"},
		Offers: []schemas.Offering{{Arch: "riscv64", Isolation: "container", Kernel: "6.6.1", Features: []string{"c", "v", "zba"}}},
	}
	away := schemas.Facts{
		Executor: "away", Instance: "1", Version: "v0.1.0", Slots: 2, HostArch: "arm64", HostOS: "darwin", CPUs: 8,
		Offers: []schemas.Offering{{Arch: "arm64", Isolation: "vm", Accel: "hvf", Kernel: "6.1.0-32-cloud-arm64"}},
	}
	held := []schemas.Held{{Tenant: schemas.SingleTenant, Job: "j01h8x3vz9k6tqc2n4m5p7r0sa", Attempt: 1}}
	return []schemas.Executor{
		{Facts: one, State: "up", SeenUS: epoch, Busy: 3, Held: held},
		{Facts: board, State: "up", SeenUS: epoch, Busy: 1},
		{Facts: away, State: "lost", SeenUS: epoch},
	}
}
