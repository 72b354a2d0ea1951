package powercut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// patience bounds waits for what must come; nothing is measured by it.
const patience = 5 * time.Minute

// computer is a machine's hardware: what stays when its power is cut.
type computer struct {
	*testing.T
	dir, qemu, kernel string
}

// newComputer has an empty ext4 disk.
func newComputer(t *testing.T, o orders) *computer {
	t.Helper()
	c := &computer{T: t, dir: t.TempDir(), kernel: cache(t, "guest/amd64/"+filepath.Base(kernelModules(t))+"/kernel")}
	for name, path := range map[string]*string{"qemu-system-x86_64": &c.qemu, "mkfs.ext4": new(string)} {
		found, err := exec.LookPath(name)
		if err != nil {
			hosttest.Missing(t, "%v", err)
		}
		*path = found
	}
	if err := os.WriteFile(c.file("initramfs"), initramfs(t, o), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file("disk"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(c.file("disk"), 2<<30); err != nil {
		t.Fatal(err)
	}
	// Its tables are written now: while it is mounted that would be work for others.
	if out, err := exec.Command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", c.file("disk")).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return c
}

func (c *computer) file(name string) string { return filepath.Join(c.dir, name) }

// machine is a computer that is on.
type machine struct {
	*computer
	cmd     *exec.Cmd
	address string
	client  *producer.Client
	dead    chan struct{}
}

// boots is how often a computer is switched on in a row: an emulated machine may
// hang as it boots, which its kernel then says.
const boots = 3

// hangs are the kernel's words for a processor that does nothing more.
var hangs = [][]byte{[]byte("soft lockup"), []byte("detected stall")}

var errHangs = errors.New("the machine hangs")

// on boots the computer and returns when it takes jobs. A machine that hangs is
// cut off the power and started again: that is one more power cut, and all that was
// acknowledged has to be there after it, too.
func (c *computer) on() *machine {
	c.Helper()
	for boot := 1; ; boot++ {
		m, begin := c.start(), time.Now()
		err := m.ready()
		if err == nil {
			c.Logf("ready after %v", time.Since(begin).Round(100*time.Millisecond))
			return m
		}
		m.cut()
		if boot == boots || !errors.Is(err, errHangs) {
			c.Fatalf("the system does not come up: %v\n%s", err, m.said())
		}
		c.Logf("boot %d: %v\n%s", boot, err, m.said())
	}
}

// start switches the computer on. It has one processor: with several, emulated
// ones were seen to wait for each other for ever.
func (c *computer) start() *machine {
	c.Helper()
	address, err := hosttest.FreeAddress()
	if err != nil {
		c.Fatal(err)
	}
	console, err := os.OpenFile(c.file("console"), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.Fatal(err)
	}
	defer console.Close()
	m := &machine{computer: c, address: address, dead: make(chan struct{}), cmd: exec.Command(c.qemu,
		"-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-M", "q35", "-m", "1G", "-smp", "1",
		"-accel", "tcg,tb-size=256", "-cpu", "Nehalem",
		"-kernel", c.kernel, "-initrd", c.file("initramfs"),
		"-append", "console=ttyS0 quiet panic=-1 cryptomgr.notests norandmaps random.trust_cpu=on mitigations=off",
		"-drive", "file="+c.file("disk")+",format=raw,if=none,id=disk,cache=writeback", "-device", "virtio-blk-pci,drive=disk",
		"-netdev", "user,id=net,restrict=on,hostfwd=tcp:"+address+"-:7300", "-device", "virtio-net-pci,netdev=net,romfile=",
		"-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng",
		"-serial", "stdio")}
	m.cmd.Stdout, m.cmd.Stderr = console, console
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		c.Fatal(err)
	}
	go func() { m.cmd.Wait(); close(m.dead) }()
	c.Cleanup(m.cut)
	m.client = m.newClient(address, patience)
	return m
}

func (m *machine) newClient(address string, patience time.Duration) *producer.Client {
	client, err := producer.New(producer.Config{Server: "http://" + address, Token: token, Patience: patience})
	if err != nil {
		m.Fatal(err)
	}
	return client
}

// ready waits until an executor is there.
func (m *machine) ready() error {
	ctx, cancel := context.WithTimeout(m.Context(), patience)
	defer cancel()
	client := m.newClient(m.address, time.Second)
	for {
		executors, err := executors(ctx, client)
		if err == nil && len(executors) > 0 && executors[0].State == "up" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %v", ctx.Err(), err)
		case <-m.dead:
			return fmt.Errorf("QEMU ended: %v", m.cmd.ProcessState)
		case <-time.After(50 * time.Millisecond): // another machine has no event for us
		}
		if m.hangs() {
			return errHangs
		}
	}
}

// executors asks for 20 s at most: a machine that hangs may have taken the question.
func executors(ctx context.Context, client *producer.Client) ([]schemas.Executor, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return client.Executors(ctx)
}

// hangs says whether the kernel has found that it does nothing more.
func (m *machine) hangs() bool {
	text, err := os.ReadFile(m.file("console"))
	return err == nil && slices.ContainsFunc(hangs, func(words []byte) bool { return bytes.Contains(text, words) })
}

// cut ends QEMU where it is. What the guest holds in memory is gone.
func (m *machine) cut() {
	m.cmd.Process.Kill()
	<-m.dead
}

// said is the end of what was written to the console.
func (c *computer) said() string {
	text, err := os.ReadFile(c.file("console"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8<<10):])
}
