package hosttest

import (
	"os"
	"strings"
)

// Mount is one as the kernel lists it.
type Mount struct{ Source, At, Kind string }

// Mounts lists all of this process's namespace, in the order in which they were made.
func Mounts() ([]Mount, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	return parseMounts(string(text)), err
}

// MountsBelow lists what is mounted in a folder.
func MountsBelow(dir string) (found []Mount, err error) {
	return mountsThat(func(m Mount) bool { return strings.HasPrefix(m.At, dir+"/") })
}

// MountsOf lists what is mounted in a folder, or is a file of it that is mounted elsewhere.
func MountsOf(dir string) (found []Mount, err error) {
	return mountsThat(func(m Mount) bool {
		return strings.HasPrefix(m.At, dir+"/") || strings.HasPrefix(m.Source, dir+"/")
	})
}

func mountsThat(are func(Mount) bool) (found []Mount, err error) {
	all, err := Mounts()
	for _, m := range all {
		if are(m) {
			found = append(found, m)
		}
	}
	return found, err
}

func parseMounts(text string) (all []Mount) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 2 {
			all = append(all, Mount{Source: unescape.Replace(f[0]), At: unescape.Replace(f[1]), Kind: f[2]})
		}
	}
	return all
}

// unescape reads what the kernel writes for characters that would end a field.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
