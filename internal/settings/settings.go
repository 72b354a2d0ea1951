// Package settings fills a command's flags from the environment and from one
// YAML file, and can say where each value came from. It runs once, in cmd/ped,
// before anything of a job's life; no other package reads configuration.
//
// A flag given on the command line wins over the environment, the environment
// over the file, the file over the default. The flag --s3-endpoint is
// PED_S3_ENDPOINT in the environment, and in the file either
//
//	s3-endpoint: http://127.0.0.1:9000
//
// or, with the same meaning,
//
//	s3:
//	  endpoint: http://127.0.0.1:9000
//
// One file and one environment serve every command, so names that only another
// command knows are passed over; names that no command knows are errors.
//
// It must not know what any setting means.
package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Config says where settings come from.
type Config struct {
	// Prefix begins the names of environment variables: "PED_".
	Prefix string
	// Environ is the environment as [os.Environ] gives it.
	Environ []string
	// File is the YAML file's path; empty for none.
	File string
	// Known are all settings of all commands, which File and Environ may name.
	Known *pflag.FlagSet
	// Skip are variables that begin with Prefix and are no settings: PED_CONFIG.
	Skip []string
}

// Value is one setting as it is in force.
type Value struct {
	Name string `json:"name"`
	// Value is in the flag's own notation; a secret is hidden.
	Value string `json:"value"`
	// Origin is "default", "flag --NAME", "env NAME" or "FILE:LINE".
	Origin string `json:"origin"`
}

// given is a value that was found outside of the command line.
type given struct {
	name   string
	values []string // one, but for lists and maps
	origin string
}

// Load gives every flag of flags that was not on the command line its value
// from the environment or the file, and returns what is then in force, sorted
// by name. All that is wrong is reported in one error, a line for each.
func Load(flags *pflag.FlagSet, c Config) ([]Value, error) {
	fromFile, fileErr := readFile(c)
	fromEnv, envErr := readEnv(c)
	origins := make(map[string]string)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			origins[f.Name] = "flag --" + f.Name
		}
	})

	errs := []error{fileErr, envErr}
	for _, g := range slices.Concat(fromEnv, fromFile) { // the stronger first
		f := flags.Lookup(g.name)
		if f == nil || origins[g.name] != "" {
			continue
		}
		origins[g.name] = g.origin
		if err := set(f, g.values); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", g.origin, g.name, err))
		}
		f.Changed = true
	}
	return report(flags, origins), errors.Join(errs...)
}

// set replaces a flag's value. An error does not repeat the value of a secret.
func set(f *pflag.Flag, values []string) error {
	var err error
	if list, ok := f.Value.(pflag.SliceValue); ok {
		err = list.Replace(values)
	} else {
		err = f.Value.Set(strings.Join(values, ","))
	}
	if err != nil && isSecret(f) {
		return errors.New("not a valid value")
	}
	return err
}

func report(flags *pflag.FlagSet, origins map[string]string) []Value {
	var all []Value
	flags.VisitAll(func(f *pflag.Flag) {
		origin := origins[f.Name]
		if origin == "" {
			origin = "default"
		}
		all = append(all, Value{Name: f.Name, Value: shown(f), Origin: origin})
	})
	return all
}

// unknown is the error for a name that no command knows.
func (c Config) unknown(origin, name string, write func(string) string) error {
	err := fmt.Errorf("%s: unknown setting %s", origin, write(name))
	if near := nearest(name, c.Known); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, write(near))
	}
	return err
}
