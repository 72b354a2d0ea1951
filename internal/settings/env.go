package settings

import (
	"errors"
	"slices"
	"strings"
)

// readEnv finds the settings in the environment. A variable that is set but
// empty counts: it takes away what the file says.
func readEnv(c Config) ([]given, error) {
	var (
		found []given
		errs  []error
	)
	for _, pair := range c.Environ {
		variable, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(variable, c.Prefix) || slices.Contains(c.Skip, variable) {
			continue
		}
		name := c.fromEnv(variable)
		if c.Known.Lookup(name) == nil {
			errs = append(errs, c.unknown("environment", name, c.inEnv))
			continue
		}
		values := []string{value}
		if _, isList := sliceFlag(c, name); isList {
			values = splitList(value)
		}
		found = append(found, given{name, values, "env " + variable})
	}
	return found, errors.Join(errs...)
}

func (c Config) fromEnv(variable string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, c.Prefix)), "_", "-")
}

func (c Config) inEnv(name string) string {
	return c.Prefix + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
}

// splitList separates the elements of a list in one variable: a,b,c.
func splitList(value string) []string {
	if value == "" {
		return nil
	}
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
