package roles

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/settings"
	"github.com/program-explorer/pe/schemas"
)

// tenantSettings are what an entry may have: each reads its value into the limits.
var tenantSettings = map[string]func(*coordinator.Limits, string) error{
	"weight":      func(l *coordinator.Limits, v string) error { return count(&l.Weight, v, coordinator.MaxWeight) },
	"max-queued":  func(l *coordinator.Limits, v string) error { return count(&l.Queued, v, 1<<30) },
	"max-running": func(l *coordinator.Limits, v string) error { return count(&l.Running, v, 1<<30) },
	"max-pools":   func(l *coordinator.Limits, v string) error { return count(&l.Pools, v, 1<<30) },
	"max-stored": func(l *coordinator.Limits, v string) error {
		var size settings.Size
		if err := size.Set(v); err != nil || size == 0 {
			return fmt.Errorf("%q is not a size: want one such as 10GiB", v)
		}
		l.StoredBytes = int64(size)
		return nil
	},
}

func count(to *int, text string, most int) (err error) {
	if *to, err = strconv.Atoi(text); err != nil || *to < 1 || *to > most {
		return fmt.Errorf("%q: want a number from 1 to %d", text, most)
	}
	return nil
}

// parseTenants reads what the file says of each tenant. All mistakes are
// reported, each with its line: name is the file's.
func parseTenants(name string, data []byte) (map[string]coordinator.Limits, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	tenants := map[string]coordinator.Limits{}
	if len(doc.Content) == 0 { // empty, or comments alone
		return tenants, nil
	}
	var errs []error
	wrong := func(n *yaml.Node, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %w", name, n.Line, fmt.Errorf(format, args...)))
	}
	for tenant, entry := range entries(doc.Content[0], wrong) {
		if !schemas.ValidToken(tenant.Value) {
			wrong(tenant, "tenant %.60q: want 1 to 40 of a-z, 0-9 and -", tenant.Value)
			continue
		}
		var l coordinator.Limits
		for key, value := range entries(entry, wrong) {
			read, known := tenantSettings[key.Value]
			switch {
			case !known:
				wrong(key, "unknown setting %.60q: want %s", key.Value, strings.Join(slices.Sorted(maps.Keys(tenantSettings)), ", "))
			case value.Kind != yaml.ScalarNode:
				wrong(value, "%s: want one value", key.Value)
			default:
				if err := read(&l, value.Value); err != nil {
					wrong(value, "%s: %w", key.Value, err)
				}
			}
		}
		tenants[tenant.Value] = l
	}
	return tenants, errors.Join(errs...)
}

// entries yields keys and values of a mapping; a key that comes twice is wrong.
func entries(n *yaml.Node, wrong func(*yaml.Node, string, ...any)) func(func(k, v *yaml.Node) bool) {
	return func(yield func(k, v *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			wrong(n, "want entries such as `alice: {weight: 2, max-running: 4}`")
			return
		}
		lines := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if line, twice := lines[key.Value]; twice {
				wrong(key, "%s stands already in line %d", key.Value, line)
				continue
			}
			lines[key.Value] = key.Line
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}
