package settings

import (
	"net/url"
	"strings"

	"github.com/spf13/pflag"
)

// secretAnnotation marks a flag whose value is never shown.
const secretAnnotation = "settings_secret"

// hidden stands for a secret that is set.
const hidden = "(hidden)"

// Secret marks flags whose value is never shown. It panics if one does not exist.
func Secret(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, secretAnnotation, nil); err != nil {
			panic("settings: " + err.Error())
		}
	}
}

func isSecret(f *pflag.Flag) bool {
	_, ok := f.Annotations[secretAnnotation]
	return ok
}

// shown is a flag's value as people and logs may see it.
func shown(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return show(f, strings.Join(list.GetSlice(), ","))
	}
	return show(f, f.Value.String())
}

func show(f *pflag.Flag, value string) string {
	if isSecret(f) && value != "" {
		return hidden
	}
	parts := strings.Split(value, ",")
	for i, part := range parts {
		parts[i] = redactURL(part)
	}
	return strings.Join(parts, ",")
}

// redactURL hides the password, or the token, in an address.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		if strings.Contains(s, "@") { // may be an address, and cannot be told
			return hidden
		}
		return s
	}
	if u.User == nil {
		return s
	}
	u.User = url.User("xxxxx")
	return u.String()
}
