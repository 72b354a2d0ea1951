package chaos

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// endsWithin is how long a run takes at most once nothing is submitted or struck any
// more: calmWithin, and reading everything.
const endsWithin = calmWithin + 3*time.Minute

// longPlan has all kinds of real machines.
func longPlan() (plan, error) {
	p := plan{
		setup: setup{gateways: 2, noops: 3, ways: map[string]way{}}, jobs: *jobs, pause: 280 * time.Millisecond, rest: 600 * time.Millisecond,
		kills: 200, least: 3, length: max(time.Minute, *last-endsWithin), compareEvery: 20, mix: mix{realEvery: 11}, realJobs: 500,
	}
	var errs []error
	for _, isolation := range []string{schemas.IsolationVM, schemas.IsolationGVisor, schemas.IsolationContainer} {
		errs = append(errs, p.addReal(isolation))
	}
	return p, errors.Join(errs...)
}

// addReal adds an executor with real machines, and jobs for it.
func (p *plan) addReal(isolation string) error {
	w, err := realWay(isolation)
	if err != nil {
		return fmt.Errorf("%s: %w (deploy/setup.sh --for test)", isolation, err)
	}
	p.ways[isolation+"-1"] = w
	p.real = append(p.real, schemas.Requires{Isolation: isolation})
	return nil
}

func realWay(isolation string) (way, error) {
	w := way{isolation: isolation, disk: 512 << 20, flags: []string{"--isolation", isolation, "--guest-dir", cached("guest"), "--slots", "1"}}
	if cached("guest") == "" || cached("images", "busybox") == "" {
		return w, errors.New("no guest, or no image")
	}
	switch runsc := cached("bin", "runsc"); {
	case isolation != schemas.IsolationContainer && os.Geteuid() != 0:
		return w, errors.New("wants root")
	case isolation == schemas.IsolationGVisor && runsc == "":
		return w, errors.New("no runsc")
	case isolation == schemas.IsolationGVisor:
		w.flags = append(w.flags, "--runsc", runsc)
	case isolation == schemas.IsolationContainer:
		w.flags = append(w.flags, "--container-image", "busybox")
	case isolation == schemas.IsolationVM:
		// As `ped up` has it: baked once, restored, two that wait.
		w.disk = 4 << 30
		w.flags = append(w.flags, "--snapshot-disk", "2GiB", "--pool-memory", "1GiB", "--pool-max", "2")
	}
	return w, nil
}
