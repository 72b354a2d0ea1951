//go:build linux

package ocirun

// seccomp is config.json's filter of system calls.
type seccomp struct {
	DefaultAction string `json:"defaultAction"`
	Syscalls      []rule `json:"syscalls"`
}

type rule struct {
	Names    []string   `json:"names"`
	Action   string     `json:"action"`
	ErrnoRet int        `json:"errnoRet"`
	Args     []argument `json:"args,omitempty"`
}

type argument struct {
	Index    int    `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo"`
	Op       string `json:"op"`
}

// Errors that a filter gives.
const (
	eperm  = 1
	enosys = 38
)

// namespaceFlags are those of clone that make a namespace, one call each: a filter can't say "any of".
var namespaceFlags = []uint64{0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000}

// denials are the calls that reach parts of the kernel which no job needs, and in which most of the
// ways out of containers were found. A runtime brings no filter of its own. In gVisor the kernel is the
// machine's, whose process 1 needs some of them: only what makes namespaces is denied there.
func denials(gvisor bool) seccomp {
	s := seccomp{DefaultAction: "SCMP_ACT_ALLOW", Syscalls: []rule{
		{Action: "SCMP_ACT_ERRNO", ErrnoRet: eperm, Names: []string{"setns", "unshare"}},
		// Its flags lie in memory, where no filter looks; the C library then uses clone.
		{Action: "SCMP_ACT_ERRNO", ErrnoRet: enosys, Names: []string{"clone3"}},
	}}
	for _, flag := range namespaceFlags {
		s.Syscalls = append(s.Syscalls, rule{
			Action: "SCMP_ACT_ERRNO", ErrnoRet: eperm, Names: []string{"clone"},
			Args: []argument{{Index: 0, Value: flag, ValueTwo: flag, Op: "SCMP_CMP_MASKED_EQ"}},
		})
	}
	denied := hostsOwn
	if gvisor {
		denied = []string{"syslog"} // of which gVisor has one to smile at
	}
	s.Syscalls = append(s.Syscalls, rule{Action: "SCMP_ACT_ERRNO", ErrnoRet: eperm, Names: denied})
	return s
}

// hostsOwn are calls about the kernel that all on the host share.
var hostsOwn = []string{
	"acct", "add_key", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "create_module",
	"delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms",
	"init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
	"kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount",
	"name_to_handle_at", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root",
	"quotactl", "quotactl_fd", "query_module", "reboot", "request_key", "setdomainname", "sethostname", "settimeofday",
	"stime", "swapoff", "swapon", "syslog", "umount", "umount2", "uselib", "userfaultfd", "ustat", "vhangup", "vm86", "vm86old",
}
