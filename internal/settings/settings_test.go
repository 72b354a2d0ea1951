package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// flags as one command has them; the file may name "other" too, which another command has.
type flags struct {
	*pflag.FlagSet
	known  *pflag.FlagSet
	listen string
	slots  int
	wait   time.Duration
	cache  Size
	labels []string
	secret string
}

func newFlags() *flags {
	f := &flags{FlagSet: pflag.NewFlagSet("test", pflag.ContinueOnError), cache: 1 << 30}
	f.StringVar(&f.listen, "listen", "127.0.0.1:7300", "")
	f.IntVar(&f.slots, "slots", 1, "")
	f.DurationVar(&f.wait, "wait", time.Second, "")
	f.Var(&f.cache, "cache-size", "")
	f.StringSliceVar(&f.labels, "label", nil, "")
	f.StringVar(&f.secret, "s3-secret-key", "", "")
	Secret(f.FlagSet, "s3-secret-key")
	f.known = pflag.NewFlagSet("all", pflag.ContinueOnError)
	f.known.AddFlagSet(f.FlagSet)
	f.known.String("other", "", "")
	return f
}

// load writes the file, and loads it as ped.yaml.
func (f *flags) load(t *testing.T, file string, env ...string) ([]Value, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("ped.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(f.FlagSet, Config{Prefix: "PED_", Environ: env, File: "ped.yaml", Known: f.known, Skip: []string{"PED_CONFIG"}})
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	f := newFlags()
	if err := f.Parse([]string{"--listen", "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	got, err := f.load(t, `# everything at once
listen: 127.0.0.1:2
slots: 2
wait: 3m
label: [site=cellar, "rack=2"]
s3:
  secret-key: from the file
other: for another command
`, "PED_LISTEN=127.0.0.1:3", "PED_SLOTS=3", "PED_CONFIG=ped.yaml", "HOME=/")
	if err != nil {
		t.Fatal(err)
	}
	want := []Value{
		{"cache-size", "1GiB", "default"},
		{"label", "site=cellar,rack=2", "ped.yaml:5"},
		{"listen", "127.0.0.1:1", "flag --listen"},
		{"s3-secret-key", "(hidden)", "ped.yaml:7"},
		{"slots", "3", "env PED_SLOTS"},
		{"wait", "3m0s", "ped.yaml:4"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f.secret != "from the file" || f.slots != 3 || len(f.labels) != 2 {
		t.Errorf("got secret %q, %d slots, labels %q", f.secret, f.slots, f.labels)
	}
}

func TestEverythingWrongIsNamedWithItsPlace(t *testing.T) {
	cases := []struct {
		name, file string
		env        []string
		want       []string
	}{
		{"unknown key", "slots: 1\nlisen: x\n", nil, []string{`ped.yaml:2: unknown setting "lisen"; did you mean "listen"?`}},
		{"unknown nested key", "s3:\n  secret-kye: x\n", nil, []string{`ped.yaml:2: unknown setting "s3-secret-kye"; did you mean "s3-secret-key"?`}},
		{"unlike anything", "quux: x\n", nil, []string{`ped.yaml:1: unknown setting "quux"`}},
		{"unknown variable", "", []string{"PED_SLOT=1"}, []string{"environment: unknown setting PED_SLOT; did you mean PED_SLOTS?"}},
		{"twice", "slots: 1\nslots: 2\n", nil, []string{"ped.yaml:2: slots is set already in line 1"}},
		{"wrong type", "slots: many\n", nil, []string{"ped.yaml:1: slots: strconv.ParseInt"}},
		{"wrong size", "cache-size: 3 apples\n", nil, []string{`"3 apples" is not a size`}},
		{"wrong in the environment", "", []string{"PED_WAIT=soon"}, []string{"env PED_WAIT: wait: time: invalid duration"}},
		{"a list for one value", "slots: [1, 2]\n", nil, []string{"ped.yaml:1: slots: want one value"}},
		{"nothing", "slots:\n", nil, []string{"ped.yaml:1: slots: no value"}},
		{"a list as the file", "- slots\n", nil, []string{"ped.yaml:1: want settings as `name: value`"}},
		{"no YAML", "\tslots: 1\n", nil, []string{"ped.yaml: yaml: found character"}},
		{"an alias", "listen: &a x\nslots: *a\n", nil, []string{"ped.yaml:2: slots: aliases"}},
		{"all at once", "a: 1\nbee: 2\nslots: x\n", []string{"PED_X=1"}, []string{"ped.yaml:1:", "ped.yaml:2:", "ped.yaml:3:", "PED_X"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := newFlags().load(t, c.file, c.env...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestAFileThatIsAbsentOrTooLarge(t *testing.T) {
	f := newFlags()
	path := filepath.Join(t.TempDir(), "ped.yaml")
	if _, err := Load(f.FlagSet, Config{File: path, Known: f.known}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("absent: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(f.FlagSet, Config{File: path, Known: f.known}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("too large: %v", err)
	}
}

func TestSecretsAreNotInErrorsOrAddresses(t *testing.T) {
	f := newFlags()
	f.listen = "nats://user:password@127.0.0.1:4222,nats://token@127.0.0.1:4223"
	values, err := f.load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if strings.Contains(v.Value, "password") || strings.Contains(v.Value, "token") {
			t.Errorf("%s shows %s", v.Name, v.Value)
		}
	}
	var number int
	f.IntVar(&number, "pin", 0, "")
	Secret(f.FlagSet, "pin")
	f.known.AddFlagSet(f.FlagSet)
	if _, err := f.load(t, "pin: swordfish\n"); err == nil || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("the error for a secret: %v", err)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1048576": 1 << 20, "512MiB": 512 << 20, "2G": 2 << 30, "2g": 2 << 30, "1.5 KiB": 1536, "3MB": 3e6, "7b": 7, "1TiB": 1 << 40,
	} {
		var got Size
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
		var again Size
		if err := again.Set(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which reads as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1XiB", "NaN", "1e30", "9000000T", "0x10"} {
		var got Size
		if err := got.Set(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "slots: 2\n", "s3:\n  secret-key: x\n", "label: {a: b}\n", "a: &a [*a]\n", "? [a]\n: b\n", "listen: !!binary aGk=\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fl := newFlags()
		found, err := parse(Config{File: "ped.yaml", Known: fl.known}, data)
		if err != nil {
			return
		}
		for _, g := range found {
			if fl.known.Lookup(g.name) == nil {
				t.Errorf("found %q, which is no setting", g.name)
			}
		}
	})
}
