package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

func limited(t *testing.T, perToken, perAddress float64, tokens ...access.Token) *harness {
	t.Helper()
	limits, err := access.NewLimits(perToken, perAddress)
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := access.ParseProxies([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, withTokens(t, tokens...), func(c *Config) { c.Limits, c.Proxies = limits, proxies })
}

func TestTooManyRequestsWithOneToken(t *testing.T) {
	t.Parallel()
	const alice, bob = "alice-0123456789abcdef", "bob-0123456789abcdef"
	h := limited(t, 0.1, 0, token(t, alice, "alice"), token(t, bob, "bob"))
	as := func(secret string) []string { return []string{"Authorization", "Bearer " + secret} }
	first := h.request(t, "GET", "/v1/jobs", "", as(alice)...)
	if first.StatusCode != http.StatusOK || first.Header.Get("RateLimit-Policy") != `"token";q=1;w=10` || first.Header.Get("RateLimit") != `"token";r=0;t=10` {
		t.Errorf("the first: %d, %v", first.StatusCode, first.Header)
	}
	h.refused(t, kindRateLimit, "GET", "/v1/jobs", "", as(alice)...)
	if again := h.request(t, "POST", "/v1/jobs", `{"image":"gcc"}`, as(alice)...); again.Header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After %q", again.Header.Get("Retry-After"))
	}
	ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", "", as(bob)...)
}

func TestABatchCountsAsItsJobs(t *testing.T) {
	t.Parallel()
	const alice = "alice-0123456789abcdef"
	h := limited(t, 1, 0, token(t, alice, "alice"))
	jobs := strings.TrimSuffix(strings.Repeat(`{"image":"gcc"},`, 20), ",")
	taken := h.request(t, "POST", "/v1/jobs:batch", `{"mode":"all","jobs":[`+jobs+`]}`, "Authorization", "Bearer "+alice)
	if left := taken.Header.Get("RateLimit"); taken.StatusCode != http.StatusAccepted || !strings.HasPrefix(left, `"token";r=0;t=1`) || len(left) != len(`"token";r=0;t=19`) {
		t.Errorf("the batch: %s, left %s", taken.Status, left)
	}
	resp := h.request(t, "GET", "/v1/jobs", "", "Authorization", "Bearer "+alice)
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || resp.StatusCode != http.StatusTooManyRequests || after < 10 || after > 19 {
		t.Errorf("after 20 jobs of which 2 may come at once: %d, Retry-After %d, %v", resp.StatusCode, after, err)
	}
}

// TestLooksForInputsCount: the store is asked for each, whoever asks the gateway for what.
func TestLooksForInputsCount(t *testing.T) {
	t.Parallel()
	var files, digests []string
	for i := range 600 {
		digest := fmt.Sprintf(`"sha256:%064d"`, i)
		files, digests = append(files, fmt.Sprintf(`"f%d":{"sha256":%s}`, i, digest)), append(digests, digest)
	}
	spec := `{"image":"gcc","files":{` + strings.Join(files, ",") + `}}`
	for path, body := range map[string]string{
		"/v1/jobs": spec, "/v1/jobs:batch": `{"jobs":[` + spec + `]}`, "/v1/blobs/missing": `{"sha256":[` + strings.Join(digests, ",") + `]}`,
	} {
		const alice = "alice-0123456789abcdef"
		h := limited(t, 1, 0, token(t, alice, "alice"))
		resp := h.request(t, "POST", path, body, "Authorization", "Bearer "+alice)
		if left := resp.Header.Get("RateLimit"); left != `"token";r=0;t=12` && left != `"token";r=0;t=11` {
			t.Errorf("%s: %s, left %s of 2 and 1 a second after 600 looks", path, resp.Status, left)
		}
		h.refused(t, kindRateLimit, "GET", "/v1/jobs", "", "Authorization", "Bearer "+alice)
	}
}

func TestGuessesOfTokens(t *testing.T) {
	t.Parallel()
	const alice = "alice-0123456789abcdef"
	h := limited(t, 0, 0.1, token(t, alice, "alice"))
	from := func(address, secret string) []string {
		return []string{"X-Forwarded-For", "1.2.3.4, " + address, "Authorization", "Bearer " + secret}
	}
	ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", "", from("203.0.113.1", alice)...)
	h.refused(t, kindUnauthorized, "GET", "/v1/jobs", "", from("203.0.113.1", "wrong-0123456789abcdef")...)
	h.refused(t, kindRateLimit, "GET", "/v1/jobs", "", from("203.0.113.1", "wrong-0123456789abcdef")...)
	h.refused(t, kindRateLimit, "GET", "/livez", "", from("203.0.113.1", "")...)
	ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", "", from("203.0.113.1", alice)...) // used there before
	h.refused(t, kindUnauthorized, "GET", "/v1/jobs", "", from("203.0.113.2", "wrong-0123456789abcdef")...)
	h.refused(t, kindRateLimit, "GET", "/v1/jobs", "", from("203.0.113.2", alice)...) // a right guess, perhaps
	h.refused(t, kindScope, "GET", "/metrics", "", from("203.0.113.1", alice)...)
	families, err := h.api.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "pe_http_refusals_total" {
				counted[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if counted["unknown-token"] != 2 || counted["rate-limit"] != 3 || counted["scope"] != 1 {
		t.Errorf("counted %v", counted)
	}
}

// The single user is not limited, whatever is configured.
func TestTheSingleUserHasNoLimit(t *testing.T) {
	t.Parallel()
	h := limited(t, 0.1, 0.1)
	for range 50 {
		if resp := h.request(t, "GET", "/v1/jobs", ""); resp.StatusCode != http.StatusOK || resp.Header.Get("RateLimit") != "" {
			t.Fatalf("%d, %v", resp.StatusCode, resp.Header)
		}
	}
}
