package schemas

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// cacheBase is a valid specification in which every edit of cacheFields changes something.
func cacheBase() JobSpec {
	text, encoded, in := "int main;", "AAEC", "stdin"
	return JobSpec{
		Image: "gcc", Args: []string{"sh"}, Env: map[string]string{"A": "b"}, Stdin: &Stdin{Text: &in},
		Files: map[string]File{
			"text": {Text: &text}, "base64": {Base64: &encoded}, "blob": {SHA256: Digest(make([]byte, 32)), Size: 3},
		},
		Outputs: []string{"a"}, Requires: Requires{Arch: "amd64"},
	}
}

func editFile(name string, edit func(*File)) func(*JobSpec) {
	return func(s *JobSpec) {
		f := s.Files[name]
		edit(&f)
		s.Files = maps.Clone(s.Files)
		s.Files[name] = f
	}
}

func pointTo[T any](v T) *T { return &v }

// cacheFields says of every field of a specification whether it can change a
// job's result, with an edit of it.
var cacheFields = map[string]struct {
	matters bool
	edit    func(*JobSpec)
}{
	"JobSpec.Image":          {false, func(s *JobSpec) { s.Image = "gcc:14" }}, // what it was resolved to counts
	"JobSpec.Entrypoint":     {true, func(s *JobSpec) { s.Entrypoint = &[]string{} }},
	"JobSpec.Args":           {true, func(s *JobSpec) { s.Args = []string{"s", "h"} }},
	"JobSpec.Env":            {true, func(s *JobSpec) { s.Env = map[string]string{"A": "c"} }},
	"JobSpec.Cwd":            {true, func(s *JobSpec) { s.Cwd = "/tmp" }},
	"JobSpec.User":           {true, func(s *JobSpec) { s.User = "nobody" }},
	"JobSpec.Outputs":        {true, func(s *JobSpec) { s.Outputs = nil }},
	"JobSpec.Cache":          {false, func(s *JobSpec) { s.Cache = CacheRefresh }},
	"JobSpec.CacheFailures":  {false, func(s *JobSpec) { s.CacheFailures = true }},
	"JobSpec.Lane":           {false, func(s *JobSpec) { s.Lane = LaneBatch }},
	"JobSpec.QueueTimeoutMS": {false, func(s *JobSpec) { s.QueueTimeoutMS = 5000 }},
	"JobSpec.DeadlineMS":     {false, func(s *JobSpec) { s.DeadlineMS = 5000 }},
	"JobSpec.Labels":         {false, func(s *JobSpec) { s.Labels = map[string]string{"a": "b"} }},
	"JobSpec.Callback":       {false, func(s *JobSpec) { s.Callback = &Callback{URL: "https://example.org/"} }},
	"JobSpec.IdempotencyKey": {false, func(s *JobSpec) { s.IdempotencyKey = "once" }},

	"File.Text":   {true, editFile("text", func(f *File) { f.Text = pointTo("int other;") })},
	"File.Base64": {true, editFile("base64", func(f *File) { f.Base64 = pointTo("AAED") })},
	"File.SHA256": {true, editFile("blob", func(f *File) { f.SHA256 = Digest(make([]byte, 31)) + "ff" })},
	"File.Size":   {false, editFile("blob", func(f *File) { f.Size = 4 })}, // the digest says it
	"File.Mode":   {true, editFile("text", func(f *File) { f.Mode = "0755" })},

	"Stdin.Text":   {true, func(s *JobSpec) { s.Stdin = &Stdin{Text: pointTo("other")} }},
	"Stdin.Base64": {true, func(s *JobSpec) { s.Stdin = &Stdin{Base64: pointTo("AAEC")} }},
	"Stdin.File":   {true, func(s *JobSpec) { s.Stdin = &Stdin{File: "text"} }},

	"Limits.WallMS":       {true, func(s *JobSpec) { s.Limits.WallMS = 5 }},
	"Limits.CPUMS":        {true, func(s *JobSpec) { s.Limits.CPUMS = 6 }},
	"Limits.CPUs":         {true, func(s *JobSpec) { s.Limits.CPUs = 2 }},
	"Limits.MemoryBytes":  {true, func(s *JobSpec) { s.Limits.MemoryBytes = gib }},
	"Limits.Pids":         {true, func(s *JobSpec) { s.Limits.Pids = 7 }},
	"Limits.ScratchBytes": {true, func(s *JobSpec) { s.Limits.ScratchBytes = gib }},
	"Limits.OutputBytes":  {true, func(s *JobSpec) { s.Limits.OutputBytes = gib }},

	"Requires.Arch":      {true, func(s *JobSpec) { s.Requires.Arch = "arm64" }},
	"Requires.Isolation": {true, func(s *JobSpec) { s.Requires.Isolation = IsolationVM }},
	"Requires.Accel":     {true, func(s *JobSpec) { s.Requires.Accel = "tcg" }},
	"Requires.Kernel":    {true, func(s *JobSpec) { s.Requires.Kernel = "6.1" }},
	"Requires.Features":  {true, func(s *JobSpec) { s.Requires.Features = []string{"avx2"} }},
	"Requires.CPUModel":  {true, func(s *JobSpec) { s.Requires.CPUModel = "epyc" }},
	"Requires.Labels":    {true, func(s *JobSpec) { s.Requires.Labels = map[string]string{"site": "attic"} }},
	"Requires.Executor":  {true, func(s *JobSpec) { s.Requires.Executor = "board" }},
}

var cacheImage = ImageRef{Reference: "docker.io/library/gcc:14", Digest: Digest(make([]byte, 32))}

func cacheHash(t testing.TB, s JobSpec) string {
	t.Helper()
	hash, err := s.CacheHash(cacheImage, "")
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestEveryFieldIsInTheCacheKeyOrNot: who adds a field has to say which.
func TestEveryFieldIsInTheCacheKeyOrNot(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	containers := []string{"JobSpec.Files", "JobSpec.Stdin", "JobSpec.Limits", "JobSpec.Requires"}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[JobSpec](), reflect.TypeFor[File](), reflect.TypeFor[Stdin](), reflect.TypeFor[Limits](), reflect.TypeFor[Requires](),
	} {
		for i := range typ.NumField() {
			name := typ.Name() + "." + typ.Field(i).Name
			known[name] = true
			if _, said := cacheFields[name]; !said && !slices.Contains(containers, name) {
				t.Errorf("can %s change a job's result? Say so in cacheFields, and in canonicalJob if it can", name)
			}
		}
	}
	for name := range cacheFields {
		if !known[name] {
			t.Errorf("there is no field %s", name)
		}
	}
}

func TestCacheHashOfOneEdit(t *testing.T) {
	t.Parallel()
	base := cacheHash(t, cacheBase())
	for name, field := range cacheFields {
		s := cacheBase()
		field.edit(&s)
		if reflect.DeepEqual(s, cacheBase()) {
			t.Errorf("%s: the edit changes nothing", name)
		}
		if changed := cacheHash(t, s) != base; changed != field.matters {
			t.Errorf("%s: the hash changed: %v, want %v", name, changed, field.matters)
		}
	}
	for _, other := range []struct{ image, prepared string }{{"docker.io/library/gcc:13", ""}, {cacheImage.Reference, "x"}} {
		hash, err := cacheBase().CacheHash(ImageRef{Reference: other.image, Digest: cacheImage.Digest}, other.prepared)
		if err != nil || hash == base {
			t.Errorf("%+v: the same hash (%v)", other, err)
		}
	}
}

// TestCacheHashOfManyEdits: two specifications have one hash exactly if they
// have the edits in common that matter.
func TestCacheHashOfManyEdits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(cacheFields)), func(name string) bool {
		return strings.HasPrefix(name, "Stdin.") && name != "Stdin.Text" // one stands for the three, which exclude each other
	})
	seen := map[string]string{} // edits that matter → hash
	back := map[string]string{}
	for range 3000 {
		s, edits := cacheBase(), ""
		for _, name := range names {
			if random.IntN(8) == 0 {
				cacheFields[name].edit(&s)
				if cacheFields[name].matters {
					edits += " " + name
				}
			}
		}
		hash := cacheHash(t, s)
		if before, ok := seen[edits]; ok && before != hash {
			t.Fatalf("two hashes with the edits%s", edits)
		}
		if before, ok := back[hash]; ok && before != edits {
			t.Fatalf("one hash with the edits%s and%s", before, edits)
		}
		seen[edits], back[hash] = hash, edits
	}
}

// TestCacheHashOfOtherWords: what means the same has the same hash.
func TestCacheHashOfOtherWords(t *testing.T) {
	t.Parallel()
	base := cacheBase()
	base.Outputs, base.Requires.Features = []string{"a", "b"}, []string{"avx", "avx2"}
	want := cacheHash(t, base)
	for name, edit := range map[string]func(*JobSpec){
		"defaults written out":   func(s *JobSpec) { *s = s.WithDefaults() },
		"text as base64":         editFile("text", func(f *File) { *f = File{Base64: pointTo("aW50IG1haW47")} }),
		"text as a blob":         editFile("text", func(f *File) { f.SHA256, f.Text = contentOf(t, *f), nil }),
		"base64 as a blob":       editFile("base64", func(f *File) { f.SHA256, f.Base64 = contentOf(t, *f), nil }),
		"stdin as base64":        func(s *JobSpec) { s.Stdin = &Stdin{Base64: pointTo("c3RkaW4=")} },
		"an absolute path":       func(s *JobSpec) { s.Files["/work/text"] = s.Files["text"]; delete(s.Files, "text") },
		"a mode of three digits": editFile("text", func(f *File) { f.Mode = "644" }),
		"another order":          func(s *JobSpec) { s.Outputs, s.Requires.Features = []string{"b", "a", "b"}, []string{"avx2", "avx"} },
		"empty requirements":     func(s *JobSpec) { s.Requires.Labels = map[string]string{} },
	} {
		s := base
		s.Files = maps.Clone(base.Files)
		edit(&s)
		if got := cacheHash(t, s); got != want {
			t.Errorf("%s: another hash", name)
		}
	}
}

func contentOf(t *testing.T, f File) string {
	t.Helper()
	digest, err := contentDigest(f.Text, f.Base64, f.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestCacheHashStays: another hash for the same job is another version of the key.
func TestCacheHashStays(t *testing.T) {
	t.Parallel()
	const want = "e0c965dd98c87cdf24063c166e16d07f3149010d92d4d89aa44405f1363830e4"
	if got := cacheHash(t, cacheBase()); got != want {
		t.Errorf("%s, want %s: if the key is made in another way now, raise cacheKeyVersion", got, want)
	}
}

func FuzzCacheHash(f *testing.F) {
	addSamples(f, "job-spec")
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, found, err := DecodeJobSpec(strings.NewReader(string(data)))
		if err != nil || len(found) > 0 {
			return
		}
		want := cacheHash(t, spec)
		again, _, err := DecodeJobSpec(strings.NewReader(string(encodeFor(t, spec.WithDefaults()))))
		if err != nil {
			t.Fatal(err)
		}
		if got := cacheHash(t, again); got != want {
			t.Fatalf("%s: stored and read again it has another hash", data)
		}
	})
}
