package jobqueue

import (
	"net/url"
	"strings"
)

// redactURL drops user and password of every server in the list.
func redactURL(list string) string {
	var out []string
	for s := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil {
			out = append(out, "[unparsable]")
			continue
		}
		u.User = nil
		out = append(out, u.String())
	}
	return strings.Join(out, ",")
}
