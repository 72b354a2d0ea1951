package e2e

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/program-explorer/pe/internal/objstore/s3test"
)

// rehearsal is what docs/deploying.md starts on one machine, with its addresses
// made such that many can.
type rehearsal struct {
	system
	daemons map[string]*daemon // the last that was started with these two words
	replace *strings.Replacer
	users   string              // the configuration before a user was added
	more    map[string][]string // flags that this machine wants besides, by subcommand
}

// TestDeployingSession runs what docs/deploying.md shows: every part by itself, joined by
// what ped prints, and then an executor more.
func TestDeployingSession(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	queue, api := closedDoor(t, "").address, closedDoor(t, "").address
	r := rehearsal{system: system{dir: t.TempDir()}, daemons: map[string]*daemon{}, replace: strings.NewReplacer(
		"127.0.0.1:4222", queue, "http://127.0.0.1:9000", s3.Endpoint, "--s3-access-key pe", "--s3-access-key "+s3.AccessKey)}
	r.url = "http://" + api
	write(t, r.dir, "s3.key", []byte(s3.SecretKey+"\n"))
	images := []string{"--catalog", catalog(t, t.TempDir()), "--allow-loopback-registry"}
	r.more = map[string][]string{
		"gateway":  append([]string{"--listen", api, "--s3-bucket", s3.Bucket}, images...),
		"executor": images,
	}
	for _, block := range codeBlocks(t, "docs/deploying.md", "## A rehearsal on one machine") {
		r.session(t, block)
	}
	for _, section := range []string{"## 1. Keys", "## 2. NATS"} {
		blocks := codeBlocks(t, "docs/deploying.md", section)
		if len(blocks) == 0 {
			t.Errorf("docs/deploying.md shows nothing under %q", section)
		}
		for _, block := range blocks {
			if section == "## 2. NATS" && strings.Contains(block, "--only") {
				r.addUser(t, r.run(t, block).stdout)
				continue
			}
			// In a folder of its own: the rehearsal's configuration stays as it is.
			runDocumented(t, r.server, "PATH=$PWD/bin:$PATH\n"+block)
		}
	}
	shed := strings.ReplaceAll(documentedExecutor(t), "cellar", "shed")
	r.session(t, shed)
	r.takeBack(t, "shed")
}

// documentedExecutor is the line that starts an executor.
func documentedExecutor(t *testing.T) string {
	t.Helper()
	for _, block := range codeBlocks(t, "docs/deploying.md", "## A rehearsal on one machine") {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "ped executor ") {
				return line
			}
		}
	}
	t.Fatal("docs/deploying.md starts no executor")
	return ""
}

// session runs a block line by line, those that end in & as daemons.
func (r *rehearsal) session(t *testing.T, block string) {
	t.Helper()
	for line := range strings.Lines(r.replace.Replace(block)) {
		command, stays := strings.CutSuffix(strings.TrimSpace(line), " &")
		if stays {
			r.daemonOf(t, strings.Fields(command))
			continue
		}
		r.run(t, command)
	}
}

func (r *rehearsal) daemonOf(t *testing.T, words []string) {
	t.Helper()
	d := servedIn(t, r.dir, words[0], append(words[1:], r.more[words[1]]...)...)
	r.daemons[strings.Join(words[:2], " ")] = d
	switch words[1] {
	case "gateway":
		d.says(t, "is ready at "+r.url)
	case "executor":
		for i, word := range words {
			if word == "--executor-id" {
				r.waitExecutors(t, words[i+1])
			}
		}
	default:
		d.says(t, "Server is ready")
	}
}

func (r *rehearsal) run(t *testing.T, script string) ended {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = r.dir
	cmd.Env = environment("PE_SERVER="+r.url, "PATH="+bin+":"+os.Getenv("PATH"))
	return runCommand(t, cmd).want(t, 0)
}

// addUser does what the page says of a block: it goes into the list, and the server reads its file again.
func (r *rehearsal) addUser(t *testing.T, block string) {
	t.Helper()
	r.users = string(read(t, r.dir, "nats-server.conf"))
	before, list, found := strings.Cut(r.users, "users: [\n")
	if !found {
		t.Fatalf("no list of users in:\n%s", r.users)
	}
	r.reload(t, before+"users: [\n"+block+list)
}

// takeBack takes the user away again, and the executor's connection ends.
func (r *rehearsal) takeBack(t *testing.T, id string) {
	t.Helper()
	r.waitExecutors(t, "cellar", id)
	r.reload(t, r.users)
	r.daemons["ped executor"].says(t, "NATS connection lost")
	r.pe(t, "run", "--no-output", "--image", "busybox", "--isolation", "container", "--kernel", "noop", "--", "true").want(t, 0)
}

func (r *rehearsal) reload(t *testing.T, config string) {
	t.Helper()
	write(t, r.dir, "nats-server.conf", []byte(config))
	if err := r.daemons["nats-server -c"].cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
