package schemas

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a job specification. Ranges of limits are in [WallRange] and its neighbours.
const (
	MaxImageBytes  = 512
	MaxArgs        = 1024 // args and entrypoint, each
	MaxEnv         = 1024
	MaxPathBytes   = 4096
	MaxNameBytes   = 255 // one part of a path
	MaxFiles       = 1000
	MaxOutputGlobs = 64
	MaxLabels      = 16
	MaxLabelBytes  = 63
	MaxFeatures    = 64
	MaxKeyBytes    = 128 // idempotency key
	maxModel       = 64

	// MaxArgBytes bounds args, entrypoint and env together, in bytes of JSON: they
	// travel to the guest in one message.
	MaxArgBytes = 128 * kib
	// MaxTotalMemory bounds memory and scratch together, in bytes: both are in the machine's memory.
	MaxTotalMemory = 256 * gib
)

var (
	imagePattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$`)
	userPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$`)
	keyPattern     = regexp.MustCompile(`^[ -~]{1,128}$`)
	labelPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`)
	featurePattern = regexp.MustCompile(`^[a-z0-9_.-]{1,32}$`)
	modelPattern   = regexp.MustCompile(`^[ -~]*[A-Za-z0-9][ -~]*$`)
	kernelPattern  = regexp.MustCompile(`^([0-9][A-Za-z0-9._+~-]{0,63}|` + KernelNoop + `)$`)
	modePattern    = regexp.MustCompile(`^0?[0-7]{3}$`)
)

// forbiddenDirs are where no file may be placed and no job may start: the
// kernel's own, which are mounted over whatever would be there.
var forbiddenDirs = []string{"/proc", "/sys", "/dev"}

// Validate lists everything that is wrong with the specification, each with a
// pointer and what would be right. Nil means that it can be accepted. Zero
// values stand for defaults, so it may be called before or after [JobSpec.WithDefaults].
func (s JobSpec) Validate() []Problem {
	var ps problems
	s.validateProgram(&ps)
	s.validateFiles(&ps)
	s.validateStdin(&ps)
	s.validateOutputs(&ps)
	s.Limits.validate(&ps)
	s.validateFit(&ps)
	s.Requires.validate(&ps, "/requires")
	if s.Lane != "" && !validLane(s.Lane) {
		ps.add("/lane", "%s", wantOneOf(s.Lane, []string{LaneInteractive, LaneBatch}))
	}
	if s.Cache != "" && !slices.Contains(CacheModes, s.Cache) {
		ps.add("/cache", "%s", wantOneOf(s.Cache, CacheModes))
	}
	if v := s.QueueTimeoutMS; v != 0 && (v < QueueRange.Min || v > QueueRange.Max) {
		ps.add("/queue_timeout_ms", "want %d to %d milliseconds; it is %d", QueueRange.Min, QueueRange.Max, v)
	}
	if v := s.DeadlineMS; v != 0 && (v < DeadlineRange.Min || v > DeadlineRange.Max) {
		ps.add("/deadline_ms", "want %d to %d milliseconds; it is %d", DeadlineRange.Min, DeadlineRange.Max, v)
	}
	validateLabels(&ps, "/labels", s.Labels)
	if s.IdempotencyKey != "" && !keyPattern.MatchString(s.IdempotencyKey) {
		ps.add("/idempotency_key", "want 1 to %d printable ASCII characters", MaxKeyBytes)
	}
	if s.Callback != nil {
		validateURL(&ps, "/callback/url", s.Callback.URL)
	}
	return ps.list
}

func (s JobSpec) validateProgram(ps *problems) {
	switch {
	case s.Image == "":
		ps.add("/image", "is required: a name from the catalog (gcc) or a reference (docker.io/library/gcc:14)")
	case len(s.Image) > MaxImageBytes:
		ps.add("/image", "has %d bytes; at most %d", len(s.Image), MaxImageBytes)
	case !imagePattern.MatchString(s.Image):
		ps.add("/image", "want a name from the catalog or a reference, of letters, digits and . _ : / @ + -")
	}
	if s.Entrypoint != nil {
		validateArgs(ps, "/entrypoint", *s.Entrypoint)
		if len(*s.Entrypoint) > 0 && (*s.Entrypoint)[0] == "" {
			ps.add("/entrypoint/0", "want the name of a program")
		}
	}
	validateArgs(ps, "/args", s.Args)
	validateEnv(ps, s.Env)
	if n := s.argBytes(); n > MaxArgBytes {
		ps.add("/args", "args, entrypoint and env together take %d bytes as JSON; at most %d: put large values into files", n, MaxArgBytes)
	}
	validateCwd(ps, s.Cwd)
	if s.User != "" && !validUser(s.User) {
		ps.add("/user", "want uid, uid:gid, name or name:group, such as 1000:1000 or nobody")
	}
}

func (s JobSpec) argBytes() int {
	encoded, err := json.Marshal([]any{s.Entrypoint, s.Args, s.Env})
	if err != nil {
		panic("schemas: arguments hold strings alone: " + err.Error())
	}
	return len(encoded)
}

func validateArgs(ps *problems, at pointer, args []string) {
	if len(args) > MaxArgs {
		ps.add(at, "has %d items; at most %d", len(args), MaxArgs)
		return
	}
	for i, a := range args {
		validateText(ps, at.item(i), a)
	}
}

// validateText refuses what no argument, variable or path of a process can hold.
func validateText(ps *problems, at pointer, s string) bool {
	if strings.IndexByte(s, 0) >= 0 {
		ps.add(at, "holds a NUL character, which a program cannot be given")
		return false
	}
	if !utf8.ValidString(s) {
		ps.add(at, "is not UTF-8")
		return false
	}
	return true
}

func validateEnv(ps *problems, env map[string]string) {
	if len(env) > MaxEnv {
		ps.add("/env", "has %d variables; at most %d", len(env), MaxEnv)
		return
	}
	for _, name := range sortedKeys(env) {
		at := pointer("/env").member(name)
		switch {
		case name == "":
			ps.add(at, "want a name")
		case strings.Contains(name, "="):
			ps.add(at, "want a name without =")
		default:
			if validateText(ps, at, name) {
				validateText(ps, at, env[name])
			}
		}
	}
}

func validateCwd(ps *problems, cwd string) {
	const at = pointer("/cwd")
	if cwd == "" || !validateText(ps, at, cwd) {
		return
	}
	switch {
	case !path.IsAbs(cwd):
		ps.add(at, "want an absolute path, such as %s", path.Join("/work", cwd))
	case path.Clean(cwd) != cwd:
		ps.add(at, "want a path without . .. or extra slashes: %s", path.Clean(cwd))
	case under(cwd, forbiddenDirs):
		ps.add(at, "want a folder that is not below /proc, /sys or /dev")
	default:
		validatePathSize(ps, at, cwd)
	}
}

// validUser knows only the form; whether the image knows the name shows in the guest.
func validUser(s string) bool {
	if !userPattern.MatchString(s) {
		return false
	}
	for _, id := range strings.Split(s, ":") {
		if strings.Trim(id, "0123456789") != "" {
			continue
		}
		// The highest id means "no change" to chown and setresuid.
		if n, err := strconv.ParseUint(id, 10, 32); err != nil || n == 1<<32-1 {
			return false
		}
	}
	return true
}

func validateLabels(ps *problems, at pointer, labels map[string]string) {
	if len(labels) > MaxLabels {
		ps.add(at, "has %d labels; at most %d", len(labels), MaxLabels)
		return
	}
	for _, k := range sortedKeys(labels) {
		v := labels[k]
		switch {
		case !labelPattern.MatchString(k):
			ps.add(at.member(k), "want a name of 1 to %d letters, digits and . _ / -, which begins with a letter or digit", MaxLabelBytes)
		case len(v) > MaxLabelBytes:
			ps.add(at.member(k), "has %d bytes; at most %d", len(v), MaxLabelBytes)
		case !utf8.ValidString(v) || strings.ContainsFunc(v, isControl):
			ps.add(at.member(k), "want a value of one line, without control characters")
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
