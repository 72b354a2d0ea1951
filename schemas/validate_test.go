package schemas

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDecodeJobSpecProblems(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 600)
	for name, c := range map[string]struct {
		in   string
		want map[string]string // pointer → part of the message; empty for none
	}{
		"least":            {`{"image":"gcc"}`, nil},
		"nothing":          {`{}`, map[string]string{"/image": "is required"}},
		"no object":        {`[]`, map[string]string{"": "want an object, not a list"}},
		"null":             {`null`, map[string]string{"": "not null"}},
		"long image":       {`{"image":"` + long + `"}`, map[string]string{"/image": "at most 512"}},
		"odd image":        {`{"image":"gcc; rm"}`, map[string]string{"/image": "letters, digits"}},
		"digest":           {`{"image":"docker.io/library/gcc:14@sha256:` + strings.Repeat("0", 64) + `"}`, nil},
		"all at once":      {`{"imag":"x","limits":{"pids":-1,"wall_ms":"1s"},"cwd":"w"}`, map[string]string{"/imag": "did you mean image?", "/image": "is required", "/limits/pids": "want 1 to 32768", "/limits/wall_ms": "want an integer, not a string", "/cwd": "/work/w"}},
		"deeper":           {`{"image":"a","arch":"amd64"}`, map[string]string{"/arch": "did you mean requires.arch?"}},
		"other name":       {`{"image":"a","timeout":3}`, map[string]string{"/timeout": "did you mean limits.wall_ms?"}},
		"stranger":         {`{"image":"a","zzzzz":3}`, map[string]string{"/zzzzz": "known here: args, cache, cache_failures, callback, cwd"}},
		"case":             {`{"Image":"a"}`, map[string]string{"/Image": "did you mean image?"}},
		"twice":            {`{"image":"a","image":"b"}`, map[string]string{"/image": "is there twice"}},
		"twice in a map":   {`{"image":"a","env":{"A":"1","\u0041":"2"}}`, map[string]string{"/env/A": "is there twice"}},
		"null member":      {`{"image":"a","args":null}`, map[string]string{"/args": "not null"}},
		"escaped pointer":  {`{"image":"a","env":{"a/b~=":"1"}}`, map[string]string{"/env/a~1b~0=": "without ="}},
		"fraction":         {`{"image":"a","limits":{"pids":1.5}}`, map[string]string{"/limits/pids": "whole number"}},
		"overflow":         {`{"image":"a","limits":{"pids":99999999999999999999}}`, map[string]string{"/limits/pids": "whole number"}},
		"half a surrogate": {`{"image":"a","args":["\ud800x"]}`, map[string]string{"/args/0": "surrogate"}},
		"whole surrogate":  {`{"image":"a","args":["\ud83d\ude00 \ufffd \\ud800"]}`, nil},
		"deep":             {`{"image":"a","x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`, map[string]string{"/x": "is unknown", "/x" + strings.Repeat("/0", 32): "deep"}},
		"nul":              {`{"image":"a","args":["\u0000"],"env":{"A":"\u0000"}}`, map[string]string{"/args/0": "NUL", "/env/A": "NUL"}},
		"env":              {`{"image":"a","env":{"":"x"}}`, map[string]string{"/env/": "want a name"}},
		"entrypoint":       {`{"image":"a","entrypoint":[""]}`, map[string]string{"/entrypoint/0": "name of a program"}},
		"no entrypoint":    {`{"image":"a","entrypoint":[]}`, nil},
		"cwd":              {`{"image":"a","cwd":"/a/../b"}`, map[string]string{"/cwd": "/b"}},
		"cwd in proc":      {`{"image":"a","cwd":"/proc/1"}`, map[string]string{"/cwd": "not below /proc"}},
		"users":            {`{"image":"a","user":"1000:1000"}`, nil},
		"named user":       {`{"image":"a","user":"www-data:www-data"}`, nil},
		"highest user":     {`{"image":"a","user":"4294967295"}`, map[string]string{"/user": "uid:gid"}},
		"odd user":         {`{"image":"a","user":"a b"}`, map[string]string{"/user": "uid:gid"}},
		"lane":             {`{"image":"a","lane":"Batch"}`, map[string]string{"/lane": "did you mean batch?"}},
		"arch":             {`{"image":"a","requires":{"arch":"aarch64"}}`, map[string]string{"/requires/arch": "did you mean arm64?"}},
		"accel":            {`{"image":"a","requires":{"accel":"kvm","isolation":"gvisor"}}`, map[string]string{"/requires/accel": "virtual machines"}},
		"features":         {`{"image":"a","requires":{"features":["avx2","AVX"],"kernel":"six","executor":"A","labels":{"-":"x"}}}`, map[string]string{"/requires/features/1": "CPU feature", "/requires/kernel": "6.1", "/requires/executor": "id", "/requires/labels/-": "letter or digit"}},
		"labels":           {`{"image":"a","labels":{"a":"` + long + `","b":"x\ny"}}`, map[string]string{"/labels/a": "at most 63", "/labels/b": "control"}},
		"key":              {`{"image":"a","idempotency_key":"ä"}`, map[string]string{"/idempotency_key": "ASCII"}},
		"cpus":             {`{"image":"a","limits":{"cpus":0.0505}}`, map[string]string{"/limits/cpus": "steps of 0.001"}},
		"cpus fine":        {`{"image":"a","limits":{"cpus":1.234}}`, nil},
		"total memory":     {`{"image":"a","limits":{"memory_bytes":274877906944}}`, map[string]string{"/limits": "together"}},
		"outputs":          {`{"image":"a","outputs":["**/*.png","/output/x","/etc","../x","a//b","[","a/..b"]}`, map[string]string{"/outputs/1": ": x", "/outputs/2": "relative", "/outputs/3": "..", "/outputs/4": "a/b", "/outputs/5": "no pattern"}},
		"stdin":            {`{"image":"a","stdin":{"file":"x","text":""}}`, map[string]string{"/stdin": "2 are set", "/stdin/file": "not there"}},
		"stdin file":       {`{"image":"a","stdin":{"file":"x"},"files":{"x":"y"}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compareProblems(t, c.in, c.want)
		})
	}
}

func TestDecodeJobSpecFiles(t *testing.T) {
	t.Parallel()
	for files, want := range map[string]map[string]string{
		`{"a":"x","b/c":{"base64":"eA=="},"/etc/x":{"text":"","mode":"755"}}`: nil,
		`{"../x":"","a/../b":""}`:                                           {"/files/..~1x": "without ..", "/files/a~1..~1b": "without .."},
		`{"./x":"","y/":"","":"","/":"",".":""}`:                            {"/files/.~1x": ": x", "/files/y~1": ": y", "/files/": "path of a file", "/files/~1": "path of a file", "/files/.": "path of a file"},
		`{"/proc/x":"","/sys":"","/dev/x":"","/output/x":"","/outputs":""}`: {"/files/~1proc~1x": "not below", "/files/~1sys": "not below", "/files/~1dev~1x": "not below", "/files/~1output~1x": "not below"},
		`{"a":"","/work/a":""}`:                                             {"/files/a": "same place"},
		`{"a":"","a/b":""}`:                                                 {"/files/a": "folder of a/b too"},
		`{"/work":""}`:                                                      {"/files/~1work": "working directory"},
		`{"a":{}}`:                                                          {"/files/a": "0 are set"},
		`{"a":{"text":"x","base64":"eA=="}}`:                                {"/files/a": "2 are set"},
		`{"a":{"base64":"e A"},"b":{"base64":"eA=\n="}}`:                    {"/files/a/base64": "base64", "/files/b/base64": "base64"},
		`{"a":{"sha256":"x"},"b":{"text":"","mode":"999"},"c":{"text":"","size":1},"d":3,"e":{"txt":""}}`: {"/files/a/sha256": "64", "/files/b/mode": "octal", "/files/c/size": "beside sha256", "/files/d": "string or an object", "/files/e/txt": "did you mean text?", "/files/e": "0 are set"},
		`{"a":{"sha256":"sha256:` + strings.Repeat("a", 64) + `","size":300000000}}`:                      {"/limits/scratch_bytes": "at least the size"},
		`{"a\nb":"","` + strings.Repeat("x", 256) + `":""}`:                                               {"/files/" + strings.Repeat("x", 256): "part of 256"},
	} {
		compareProblems(t, `{"image":"a","files":`+files+`}`, want)
	}
}

func compareProblems(t *testing.T, in string, want map[string]string) {
	t.Helper()
	_, got, err := DecodeJobSpec(strings.NewReader(in))
	if err != nil {
		t.Fatalf("%.200s: %v", in, err)
	}
	for _, p := range got {
		if part, ok := want[p.Pointer]; !ok || !strings.Contains(p.Message, part) {
			t.Errorf("%.200s: unexpected %q: %s", in, p.Pointer, p.Message)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%.200s: %d problems, want %d: %v", in, len(got), len(want), got)
	}
}

func TestDecodeJobSpecErrors(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                  "line 1, column 1",
		"{\n \"image\": gcc}":               "line 2, column 11",
		`{"image":"a"} x`:                   "column 15",
		"{\"image\":\"a\xff\"}":             "column 12: a byte that is not UTF-8",
		strings.Repeat(" ", MaxSpecBytes+1): "document is too large",
	} {
		if _, _, err := DecodeJobSpec(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", in, err, want)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	in, err := json.Marshal(map[string]any{"image": "a", "args": strings.Split(strings.Repeat("\x00,", 1000), ",")})
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := DecodeJobSpec(strings.NewReader(string(in))); err != nil || len(got) != MaxProblems {
		t.Errorf("%d problems, %v; want %d", len(got), err, MaxProblems)
	}
}

// TestDeepPathsAreCheap: a megabyte of paths, each as deep as it may be, must
// not keep a processor busy.
func TestDeepPathsAreCheap(t *testing.T) {
	t.Parallel()
	spec := JobSpec{Image: "a", Cwd: strings.Repeat("/d", 2000), Files: map[string]File{}}
	text := ""
	for i := range MaxFiles {
		spec.Files[strconv.Itoa(i)] = File{Text: &text}
	}
	start := time.Now()
	if found := spec.Validate(); len(found) > 0 {
		t.Error(found)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

// TestHostileSpecificationsAreCheap: what a megabyte can do at worst.
func TestHostileSpecificationsAreCheap(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500_000)
	for name, in := range map[string]string{
		"long name above many members": `{"` + long + `":{` + strings.Repeat(`"a":1,`, 80_000) + `"b":1}}`,
		"unknown members":              `{` + strings.Repeat(`"imagf":1,`, 100_000) + `"b":1}`,
		"long name above many items":   `{"` + long + `":[` + strings.Repeat(`null,`, 90_000) + `1]}`,
	} {
		start := time.Now()
		_, found, err := DecodeJobSpec(strings.NewReader(in))
		if err != nil || len(found) == 0 {
			t.Errorf("%s: %v, %d problems", name, err, len(found))
		}
		size := 0
		for _, p := range found {
			size += len(p.Pointer) + len(p.Message)
		}
		if took := time.Since(start); took > 2*time.Second || size > MaxSpecBytes {
			t.Errorf("%s: took %s, answer of %d bytes", name, took, size)
		}
	}
}
