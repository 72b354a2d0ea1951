package producer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/program-explorer/pe/schemas"
)

// A Comparison is one job's results on several targets.
type Comparison struct {
	// Runs are in the order of the targets.
	Runs []Run `json:"runs"`
	// Versions of what the program did and left.
	Versions Versions `json:"versions"`
}

// Versions group the targets by what came out. One version means the same
// everywhere; the order is that in which the targets first have them.
type Versions struct {
	// Compared are the targets on which the program ran to an end; only these are
	// in the groups.
	Compared []string `json:"compared"`
	// Ends are how it ended: an exit code, a signal, or "wall limit".
	Ends []Version `json:"ends"`
	// Stdout and Stderr by digest.
	Stdout []Version `json:"stdout"`
	Stderr []Version `json:"stderr"`
	// Outputs that are not the same on all targets, by their paths.
	Outputs []OutputVersions `json:"outputs"`
	// SameOutputs is how many others there are.
	SameOutputs int `json:"same_outputs"`
}

// A Version is what some targets have in common.
type Version struct {
	// Value is an end, a digest ("sha256:" and hex), or empty for an output that is not there.
	Value string `json:"value"`
	// On names the targets.
	On []string `json:"on"`
}

// OutputVersions are the versions of one output.
type OutputVersions struct {
	Path     string    `json:"path"`
	Versions []Version `json:"versions"`
}

// Differ reports whether anything is not the same on all targets.
func (v Versions) Differ() bool {
	return len(v.Ends) > 1 || len(v.Stdout) > 1 || len(v.Stderr) > 1 || len(v.Outputs) > 0
}

// Compare finds what differs between jobs that have ended. Outputs are compared
// by digest, links by their targets. It asks the gateway only for what a
// result leaves out: logs longer than its head, and lists of many outputs.
func (c *Client) Compare(ctx context.Context, runs []Run) (Comparison, error) {
	v := Versions{Compared: []string{}, Ends: []Version{}, Stdout: []Version{}, Stderr: []Version{}, Outputs: []OutputVersions{}}
	outputs := make([]map[string]string, 0, len(runs))
	for _, r := range runs {
		if r.Job == nil || r.Job.Result == nil {
			continue
		}
		result := r.Job.Result
		v.Compared = append(v.Compared, r.Name)
		v.Ends = join(v.Ends, EndOf(result.Outcome), r.Name)
		stdout, err := c.textDigest(ctx, r.Job.ID, schemas.StreamStdout, result.Stdout)
		if err != nil {
			return Comparison{Runs: runs}, err
		}
		stderr, err := c.textDigest(ctx, r.Job.ID, schemas.StreamStderr, result.Stderr)
		if err != nil {
			return Comparison{Runs: runs}, err
		}
		v.Stdout, v.Stderr = join(v.Stdout, stdout, r.Name), join(v.Stderr, stderr, r.Name)
		left, err := c.outputDigests(ctx, r.Job)
		if err != nil {
			return Comparison{Runs: runs}, err
		}
		outputs = append(outputs, left)
	}
	v.compareOutputs(outputs)
	return Comparison{Runs: runs, Versions: v}, nil
}

// EndOf is how a program ended, in a word or two: "0", "SIGSEGV", "wall limit".
func EndOf(o schemas.Outcome) string {
	switch {
	case o.Limit != "":
		return o.Limit + " limit"
	case o.Signal != "":
		return o.Signal
	case o.ExitCode != nil:
		return strconv.Itoa(*o.ExitCode)
	}
	return "unknown"
}

// join adds a target to the version that it has.
func join(versions []Version, value, target string) []Version {
	for i := range versions {
		if versions[i].Value == value {
			versions[i].On = append(versions[i].On, target)
			return versions
		}
	}
	return append(versions, Version{Value: value, On: []string{target}})
}

// textDigest is the digest of what was kept of a stream.
func (c *Client) textDigest(ctx context.Context, job, stream string, s schemas.Stdio) (string, error) {
	h := sha256.New()
	if s.Log == nil {
		head, err := HeadOf(s)
		if err != nil {
			return "", fmt.Errorf("%s of job %s: %w", stream, job, err)
		}
		h.Write(head)
		return schemas.Digest(h.Sum(nil)), nil
	}
	log, err := c.Log(ctx, job, stream)
	if err != nil {
		return "", fmt.Errorf("%s of job %s: %w", stream, job, err)
	}
	defer log.Close()
	if _, err := io.Copy(h, log); err != nil {
		return "", fmt.Errorf("%s of job %s: %w", stream, job, err)
	}
	return schemas.Digest(h.Sum(nil)), nil
}

// HeadOf is the beginning of a stream as the program wrote it.
func HeadOf(s schemas.Stdio) ([]byte, error) {
	if s.Base64 == "" {
		return []byte(s.Text), nil
	}
	return base64.StdEncoding.DecodeString(s.Base64)
}

// outputDigests are what stands for each output's content, by path.
func (c *Client) outputDigests(ctx context.Context, job *schemas.Job) (map[string]string, error) {
	list := job.Result.Outputs
	if job.Result.OutputsTotal > len(list) {
		var err error
		if list, err = c.OutputList(ctx, job.ID); err != nil {
			return nil, fmt.Errorf("outputs of job %s: %w", job.ID, err)
		}
	}
	digests := make(map[string]string, len(list))
	for _, o := range list {
		digests[o.Path] = cmp.Or(o.SHA256, o.Type+" "+o.Link)
	}
	return digests, nil
}

func (v *Versions) compareOutputs(outputs []map[string]string) {
	paths := map[string]bool{}
	for _, left := range outputs {
		for path := range left {
			paths[path] = true
		}
	}
	for path := range paths {
		var versions []Version
		for i, left := range outputs {
			versions = join(versions, left[path], v.Compared[i])
		}
		if len(versions) > 1 {
			v.Outputs = append(v.Outputs, OutputVersions{Path: path, Versions: versions})
		} else {
			v.SameOutputs++
		}
	}
	slices.SortFunc(v.Outputs, func(x, y OutputVersions) int { return cmp.Compare(x.Path, y.Path) })
}
