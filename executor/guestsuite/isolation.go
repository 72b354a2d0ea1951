package guestsuite

import (
	"strings"
	"testing"
)

// Isolation is what a job must not be able to do, as root in its image.
func Isolation() []Case {
	return []Case{
		{Name: "no capabilities", Sh: "grep -E '^(Cap|NoNewPrivs)' /proc/self/status", Check: func(t *testing.T, r Result) {
			for line := range strings.Lines(r.Stdout) {
				value := strings.Fields(line)[1]
				if strings.HasPrefix(line, "Cap") && strings.Trim(value, "0") != "" || strings.HasPrefix(line, "NoNew") && value != "1" {
					t.Errorf("%q", line)
				}
			}
			if strings.Count(r.Stdout, "\n") < 6 {
				t.Errorf("status %q", r.Stdout)
			}
		}},
		{Name: "sysctls are read-only", Sh: "for f in kernel/hostname kernel/core_pattern vm/overcommit_memory net/ipv4/ip_forward user/max_user_namespaces kernel/modprobe; do test -e /proc/sys/$f || continue; (echo 1 > /proc/sys/$f) 2>/dev/null && echo wrote $f; done; (echo b > /proc/sysrq-trigger) 2>/dev/null; echo end", Stdout: "end\n"},
		{Name: "no other processes", Sh: "ls /proc | grep -c '^[0-9]'; ls /proc/1/root 2>/dev/null; cat /proc/1/environ 2>/dev/null; true", Check: func(t *testing.T, r Result) {
			if n := strings.TrimSpace(r.Stdout); n != "4" && n != "3" { // init, sh, ls, grep
				t.Errorf("%q", r.Stdout)
			}
		}},
		{Name: "no devices", Sh: "mknod /dev/x b 253 0 2>/dev/null || echo no; mknod /tmp/x c 1 1 2>/dev/null || echo no; ls /dev | grep -E '^(vd|sd|vport|hvc|mem|kmsg)' ; echo end", Stdout: "no\nno\nend\n"},
		{Name: "no mounts", Sh: "mount -t tmpfs none /tmp 2>/dev/null || echo no; mount -o remount,rw /proc/sys 2>/dev/null || echo no; umount /proc 2>/dev/null || echo no", Stdout: "no\nno\nno\n"},
		{Name: "no user namespaces", Sh: "unshare -r true 2>/dev/null || echo no; unshare -m true 2>/dev/null || echo no", Stdout: "no\nno\n"},
		{Name: "no chroot", Sh: "chroot /tmp true 2>/dev/null || echo no", Stdout: "no\n"},
		{Name: "no cgroup files", Sh: "find / -xdev -name cgroup.procs 2>/dev/null; ls /sys/fs/cgroup; (mkdir /sys/fs/cgroup/x) 2>/dev/null || echo no", Stdout: "no\n"},
		{Name: "no kernel log", Sh: "dmesg 2>/dev/null | wc -l", Stdout: "0\n"},
		{Name: "no reboot, no clock", Sh: "reboot -f 2>/dev/null; date -s 2001-01-01 >/dev/null 2>&1; test $(date +%Y) -gt 2020 && echo clock; hostname evil 2>/dev/null || echo hostname", Stdout: "clock\nhostname\n"},
		{Name: "no set-uid", Sh: "cp /bin/busybox /tmp/id; chmod 4755 /tmp/id; grep -E '^CapEff' /proc/self/status", Job: func(j *job) { j.User = "1000:1000" }, Contains: "0000000000000000"},
		{Name: "init is out of reach", Sh: "cat /proc/1/mem 2>/dev/null; readlink /proc/1/exe /proc/1/root /proc/1/fd/* 2>/dev/null; cat /proc/1/maps /proc/1/environ 2>/dev/null; echo end", Stdout: "end\n"},
		{Name: "no way up", Sh: "cd /; ls ../../../../.. | grep -E '^(init|modules)$'; ls /run 2>/dev/null | grep -E '^(image|runs|job)$'; echo end", Stdout: "end\n"},
		{Name: "randomness", Sh: "head -c 16 /dev/urandom | md5sum; head -c 16 /dev/urandom | md5sum", Check: func(t *testing.T, r Result) {
			if lines := strings.Split(r.Stdout, "\n"); len(lines) != 3 || lines[0] == lines[1] {
				t.Errorf("%q", r.Stdout)
			}
		}},
	}
}
