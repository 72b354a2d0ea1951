package schemas

import "slices"

// Facts are what an executor says of itself when it registers. They come from
// the executor and are believed only within its trust domain.
type Facts struct {
	// Executor is its id, a subject token.
	Executor string `json:"executor"`
	// Instance changes with every start of the process.
	Instance string `json:"instance"`
	// Version of the program.
	Version string `json:"version"`
	// Slots is how many jobs it runs at once.
	Slots int `json:"slots"`
	// HostArch, HostOS, HostKernel, CPUModel and CPUs describe the host.
	HostArch   string `json:"host_arch"`
	HostOS     string `json:"host_os"`
	HostKernel string `json:"host_kernel,omitempty"`
	CPUModel   string `json:"cpu_model,omitempty"`
	CPUs       int    `json:"cpus"`
	// MemoryBytes is the host's memory.
	MemoryBytes int64 `json:"memory_bytes"`
	// Labels are the operator's: site=basement.
	Labels map[string]string `json:"labels,omitempty"`
	// Owner is the tenant whose machine it is, if it is somebody's. Tenants may also
	// require it by name; "*" stands for all. With neither, everybody may.
	Owner   string   `json:"owner,omitempty"`
	Tenants []string `json:"tenants,omitempty"`
	// Offers are the kinds of machine it can run, each proven by a trial.
	Offers []Offering `json:"offers"`
}

// AnyTenant among [Facts.Tenants] stands for all.
const AnyTenant = "*"

// NamedBy reports whether a tenant's job may require this executor by name.
func (f Facts) NamedBy(tenant string) bool {
	if f.Owner == "" && len(f.Tenants) == 0 {
		return true
	}
	return tenant == f.Owner || slices.Contains(f.Tenants, tenant) || slices.Contains(f.Tenants, AnyTenant)
}

// Offering is one kind of machine that an executor can run jobs in.
type Offering struct {
	Arch      string `json:"arch"`
	Isolation string `json:"isolation"`
	// Accel is kvm, hvf or tcg for a VM, else empty.
	Accel string `json:"accel,omitempty"`
	// AccelReason says in one line why this accelerator was chosen.
	AccelReason string `json:"accel_reason,omitempty"`
	// Kernel is the release of the kernel that the job sees.
	Kernel string `json:"kernel,omitempty"`
	// CPUModel is the processor that the job sees.
	CPUModel string   `json:"cpu_model,omitempty"`
	Features []string `json:"features,omitempty"`
}
