package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var units = []string{"ped-gateway.service", "ped-executor.service"}

// TestUnits: what the units start is a command of ours with flags that it has.
func TestUnits(t *testing.T) {
	t.Parallel()
	for _, name := range units {
		text := strings.ReplaceAll(deployed(t, name), "\\\n", " ")
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/ped (\S+)(.*)$`).FindStringSubmatch(text)
		if start == nil {
			t.Fatalf("%s starts no ped", name)
		}
		set := settingsOf(t, start[1])
		for _, flag := range regexp.MustCompile(`--([a-z0-9-]+)`).FindAllStringSubmatch(start[2], -1) {
			if flag[1] != "config" && set.Lookup(flag[1]) == nil {
				t.Errorf("%s: ped %s has no --%s", name, start[1], flag[1])
			}
		}
		// Each secret that is handed over is used, and nothing else is.
		handed := regexp.MustCompile(`(?m)^LoadCredential=([a-z0-9.]+):`).FindAllStringSubmatch(text, -1)
		for _, c := range handed {
			if !strings.Contains(start[2], "${CREDENTIALS_DIRECTORY}/"+c[1]) {
				t.Errorf("%s: %s is handed over for nothing", name, c[1])
			}
		}
		if n := strings.Count(start[2], "CREDENTIALS_DIRECTORY"); n != len(handed) {
			t.Errorf("%s uses %d secrets and is handed %d", name, n, len(handed))
		}
	}
}

// TestExecutorIsGivenTime: systemd waits for longer than an executor lets its jobs run on.
func TestExecutorIsGivenTime(t *testing.T) {
	t.Parallel()
	grace, err := time.ParseDuration(settingsOf(t, "executor").Lookup("grace").DefValue)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)s$`).FindStringSubmatch(deployed(t, "ped-executor.service"))
	if found == nil {
		t.Fatal("ped-executor.service has no TimeoutStopSec")
	}
	if seconds, _ := strconv.Atoi(found[1]); time.Duration(seconds)*time.Second < 2*grace {
		t.Errorf("TimeoutStopSec is %ss, and jobs have %s", found[1], grace)
	}
}

// unknown are settings of systemd that older versions pass over with a warning.
var unknown = regexp.MustCompile(`Unknown key( name)? '(DelegateSubgroup)'|Command /usr/local/bin/ped is not executable`)

// TestUnitsVerified asks systemd itself, where it is.
func TestUnitsVerified(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze here: units are not verified by systemd")
		return
	}
	for _, name := range units {
		cmd := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join("..", "..", "deploy", name))
		out, _ := cmd.CombinedOutput() // its exit code is not zero without /usr/local/bin/ped
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, name) && !unknown.MatchString(line) {
				t.Errorf("systemd-analyze verify: %s", line)
			}
		}
	}
}
