package schemas

import "testing"

func TestRequiredLabels(t *testing.T) {
	t.Parallel()
	f := Facts{Executor: "e1", Labels: map[string]string{"disk": "ssd", "spot": ""}, Offers: []Offering{{Arch: "amd64", Isolation: IsolationVM}}}
	for _, test := range []struct {
		labels map[string]string
		want   bool
	}{
		{nil, true},
		{map[string]string{"disk": "ssd"}, true},
		{map[string]string{"disk": "hdd"}, false},
		{map[string]string{"spot": ""}, true},
		{map[string]string{"gpu": ""}, false}, // an empty value is not a missing label
	} {
		r := Requires{Arch: "amd64", Isolation: IsolationVM, Labels: test.labels}
		if got := r.SatisfiedBy(f); got != test.want {
			t.Errorf("labels %q satisfied = %v", test.labels, got)
		}
	}
}
