package executor

import (
	"encoding/base64"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// defaultPath is what a program's PATH is when neither image nor job sets one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// guestJob joins a specification with its image's configuration.
func guestJob(spec schemas.JobSpec, image imagesync.ImageConfig) guestproto.Job {
	job := guestproto.Job{
		Argv:   command(spec, image),
		Env:    environment(spec, image),
		Cwd:    spec.Cwd,
		User:   image.User,
		Limits: guestLimits(spec.Limits),
		Input:  guestproto.Input{Via: guestproto.ViaNone, Root: fromRoot(spec)},
		Output: guestproto.Output{Via: guestproto.ViaNone, Patterns: spec.Outputs},
		Stdin:  guestStdin(spec.Stdin),
	}
	if spec.User != "" {
		job.User = spec.User
	}
	return job
}

// command follows OCI: arguments replace the image's default command, and an
// entrypoint of the job's own drops both of the image's.
func command(spec schemas.JobSpec, image imagesync.ImageConfig) []string {
	if spec.Entrypoint != nil {
		return slices.Concat(*spec.Entrypoint, spec.Args)
	}
	if len(spec.Args) > 0 {
		return slices.Concat(image.Entrypoint, spec.Args)
	}
	return slices.Concat(image.Entrypoint, image.Cmd)
}

// environment is the image's with the job's over it. HOME, where neither has
// it, is set in the guest: it depends on the user, whom only the image knows.
func environment(spec schemas.JobSpec, image imagesync.ImageConfig) []string {
	env := map[string]string{"PATH": defaultPath}
	for _, pair := range image.Env {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			env[name] = value
		}
	}
	maps.Copy(env, spec.Env)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

func guestLimits(l schemas.Limits) guestproto.Limits {
	return guestproto.Limits{
		WallMS:    l.WallMS,
		CPUMS:     l.CPUMS,
		CPUsMilli: l.CPUsMilli(),
		Memory:    l.MemoryBytes,
		PIDs:      l.Pids,
		Scratch:   l.ScratchBytes,
		Output:    l.OutputBytes,
		Log:       schemas.StdioLog,
	}
}

func guestStdin(s *schemas.Stdin) guestproto.Stdin {
	switch {
	case s == nil:
		return guestproto.Stdin{Via: guestproto.ViaNone}
	case s.File != "":
		return guestproto.Stdin{Via: guestproto.ViaFile, Path: s.File}
	default:
		return guestproto.Stdin{Via: guestproto.ViaChannel}
	}
}

// stdinBytes returns inline stdin, or nil. The specification was validated.
func stdinBytes(s *schemas.Stdin) io.Reader {
	switch {
	case s == nil || s.File != "":
		return nil
	case s.Base64 != nil:
		return base64.NewDecoder(base64.StdEncoding, strings.NewReader(*s.Base64))
	default:
		return strings.NewReader(*s.Text)
	}
}
