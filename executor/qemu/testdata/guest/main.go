// Command guest is PID 1 of the machines that the tests of package qemu boot:
// it says "ready" on the job channel, and then does what one-line commands ask.
package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("test guest:", err)
	}
	reset()
}

func run() error {
	for _, m := range []struct{ fs, at string }{{"devtmpfs", "/dev"}, {"sysfs", "/sys"}, {"proc", "/proc"}} {
		_ = os.MkdirAll(m.at, 0o755)
		if err := syscall.Mount(m.fs, m.at, m.fs, 0, ""); err != nil && err != syscall.EBUSY {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	port, err := openPort("pe.job")
	if err != nil {
		return err
	}
	fmt.Fprintln(port, "ready")
	in := bufio.NewScanner(port)
	for in.Scan() {
		fmt.Fprintln(port, answer(strings.Fields(in.Text())))
	}
	return in.Err()
}

func answer(words []string) string {
	switch {
	case len(words) == 2 && words[0] == "size":
		return diskFile(words[1], "size")
	case len(words) == 2 && words[0] == "ro":
		return diskFile(words[1], "ro")
	case len(words) == 2 && words[0] == "head":
		return head(words[1])
	case len(words) == 2 && words[0] == "keep":
		kept = words[1]
		return kept
	case len(words) == 1 && words[0] == "recall":
		return kept
	case len(words) == 2 && words[0] == "dirty":
		return dirty(words[1])
	case len(words) == 1 && words[0] == "uptime":
		b, _ := os.ReadFile("/proc/uptime")
		return string(b[:strings.IndexByte(string(b), ' ')])
	case len(words) == 1 && words[0] == "reset":
		reset()
	case len(words) == 1 && words[0] == "panic":
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	case len(words) == 1 && words[0] == "chatter":
		for line := strings.Repeat("x", 100); ; {
			fmt.Println(line)
		}
	}
	return "what?"
}

// kept is what a restored machine must still know.
var kept = "nothing"

// dirty writes to as many MiB of memory.
func dirty(mib string) string {
	n, err := strconv.Atoi(mib)
	if err != nil {
		return err.Error()
	}
	b := make([]byte, n<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return fmt.Sprint(len(b) >> 20)
}

func loadModules() error {
	list, err := os.ReadFile("/modules.txt")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open("/" + name)
		if err != nil {
			return err
		}
		none := []byte{0}
		_, _, errno := syscall.Syscall(finitModule, f.Fd(), uintptr(unsafe.Pointer(&none[0])), 0)
		f.Close()
		if errno != 0 && errno != syscall.EEXIST {
			return fmt.Errorf("load %s: %w", name, errno)
		}
	}
	return nil
}

func openPort(name string) (*os.File, error) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		found, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, f := range found {
			if b, _ := os.ReadFile(f); strings.TrimSpace(string(b)) == name {
				return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(f)), os.O_RDWR, 0)
			}
		}
	}
	return nil, fmt.Errorf("no port %s", name)
}

func device(serial string) string {
	found, _ := filepath.Glob("/sys/block/vd*/serial")
	for _, f := range found {
		if b, _ := os.ReadFile(f); strings.TrimSpace(string(b)) == serial {
			return filepath.Base(filepath.Dir(f))
		}
	}
	return ""
}

func diskFile(serial, what string) string {
	b, err := os.ReadFile(filepath.Join("/sys/block", device(serial), what))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

func head(serial string) string {
	f, err := os.Open("/dev/" + device(serial))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	b := make([]byte, 4096)
	n, _ := f.Read(b)
	return strings.TrimRight(string(b[:min(n, 40)]), "\x00")
}

func reset() {
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
	select {}
}
