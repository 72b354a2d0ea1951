package campaign

import (
	"errors"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

const good = `{"v":1,"tenant":"local","campaign":{"name":"a","description":"x","callback":{"url":"https://a"},"created_us":1,"closed_us":2,"ended_us":3,"unfinished":0,"jobs":{"succeeded":2}},"up_to":7}`

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	key := schemas.CampaignKey("local", "a")
	e, err := decode(key, []byte(good))
	if err != nil || e.Campaign.State != schemas.CampaignEnded || e.UpTo != 7 || e.Campaign.Jobs[schemas.StateSucceeded] != 2 {
		t.Fatalf("%+v, %v", e, err)
	}
	for _, change := range [][2]string{
		{`"v":1`, `"v":2`}, {`"local"`, `"other"`}, {`"local"`, `"a.b"`}, {`"name":"a"`, `"name":"b"`}, {`"name":"a"`, `"name":"a/b"`}, {`"x"`, `"a\nb"`},
		{`https://a`, `gopher://a`}, {`"created_us":1`, `"created_us":0`}, {`"closed_us":2`, `"closed_us":0`}, {`"ended_us":3`, `"ended_us":-3`},
		{`"succeeded"`, `"running"`}, {`"succeeded"`, `"lost"`}, {`:2}}`, `:-2}}`}, {`{"v"`, `["v"`},
	} {
		if data := strings.Replace(good, change[0], change[1], 1); data == good {
			t.Errorf("%s is not there", change[0])
		} else if _, err := decode(key, []byte(data)); err == nil {
			t.Errorf("taken: %s", data)
		}
	}
	if _, err := decode(key, []byte(good+strings.Repeat(" ", maxEntryBytes))); !errors.Is(err, schemas.ErrTooLarge) {
		t.Error(err)
	}
}

// TestLargestFits: whatever a client says of a campaign, there is room for its end.
func TestLargestFits(t *testing.T) {
	t.Parallel()
	e := entry{Version: entryVersion, Tenant: strings.Repeat("x", 40), Campaign: schemas.Campaign{
		Name: strings.Repeat("a", 63), CreatedUS: 1 << 60, ClosedUS: 1 << 60,
		CampaignSpec: schemas.CampaignSpec{Description: strings.Repeat("<", schemas.MaxDescription), Callback: &schemas.Callback{URL: "https://a/?" + strings.Repeat("&", schemas.MaxURLBytes-11)}},
	}}
	jobs := map[schemas.State]int{}
	for _, s := range schemas.States {
		if s.Terminal() {
			jobs[s] = 1 << 40
		}
	}
	e.end(1, jobs, 1<<60)
	data, err := e.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(e.key(), data); err != nil {
		t.Error(err)
	}
}

// TestEndsFollowEachOther: an end's instant tells it from the one before, though a clock goes back.
func TestEndsFollowEachOther(t *testing.T) {
	t.Parallel()
	e := entry{Campaign: schemas.Campaign{CreatedUS: 5, ClosedUS: 10}}
	for _, at := range []struct{ now, want int64 }{{7, 10}, {7, 11}, {20, 20}, {20, 21}} {
		if e.end(at.now, nil, 0); e.Campaign.EndedUS != at.want {
			t.Errorf("at %d it ends at %d, want %d", at.now, e.Campaign.EndedUS, at.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(schemas.CampaignKey("local", "a"), []byte(good))
	f.Add(schemas.CampaignKey("local", "b"), []byte(`{"v":1,"tenant":"local","campaign":{"name":"b","created_us":1,"unfinished":-1,"jobs":{"dead":0}}}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		e, err := decode(key, data)
		if err != nil {
			return
		}
		again, err := e.encode()
		if err == nil {
			_, err = decode(key, again)
		}
		if err != nil && !errors.Is(err, schemas.ErrTooLarge) {
			t.Fatal(err)
		}
	})
}
