package schemas

import "testing"

// A relative working directory once made the check of parents climb for ever.
func TestFilesBelowARelativeCwd(t *testing.T) {
	t.Parallel()
	text := "x"
	for _, cwd := range []string{"relative", ".", "..", "a/../b"} {
		ps := JobSpec{Image: "gcc", Cwd: cwd, Files: map[string]File{"f": {Text: &text}}}.Validate()
		if len(ps) != 1 || ps[0].Pointer != "/cwd" {
			t.Errorf("cwd %q: %v", cwd, ps)
		}
	}
}
