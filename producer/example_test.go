package producer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// Compile a program from a folder, and fetch what it leaves in /output.
func Example() {
	ctx := context.Background()
	client, err := producer.New(producer.Config{Server: os.Getenv("PE_SERVER")})
	if err != nil {
		log.Fatal(err)
	}
	sources, err := producer.Files("src", "./src")
	if err != nil {
		log.Fatal(err)
	}
	files, err := client.Upload(ctx, sources, nil)
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Run(ctx, schemas.JobSpec{
		Image: "gcc", Args: []string{"sh", "-c", "gcc src/*.c -o /output/a.out"}, Files: files,
		Requires: schemas.Requires{Arch: "riscv64"},
	})
	if err != nil {
		log.Fatal(err)
	}
	if job.State != schemas.StateSucceeded {
		log.Fatalf("job %s %s: %s", job.ID, job.State, job.Result.Stderr.Text)
	}
	archive, err := client.Outputs(ctx, job.ID)
	if err != nil {
		log.Fatal(err)
	}
	defer archive.Close()
	if _, err := producer.Unpack(archive, "output", producer.UnpackOptions{}); err != nil {
		log.Fatal(err)
	}
}

// Pass on what a job writes while it runs.
func ExampleClient_Follow() {
	ctx := context.Background()
	client, err := producer.New(producer.Config{})
	if err != nil {
		log.Fatal(err)
	}
	job, err := client.Submit(ctx, schemas.JobSpec{Image: "busybox", Args: []string{"ping", "-c", "3", "localhost"}})
	if err != nil {
		log.Fatal(err)
	}
	for event, err := range client.Follow(ctx, job.ID) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Kind {
		case schemas.StreamStdout:
			fmt.Printf("%s", event.Data)
		case schemas.StreamStage:
			log.Print(event.Stage.Name)
		}
	}
}

// compile answers with what the compiler says of a program that a page of ours posts.
func compile(client *producer.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		source, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, "a program of at most 64 KiB is wanted", http.StatusRequestEntityTooLarge)
			return
		}
		text := string(source)
		job, err := client.Run(r.Context(), schemas.JobSpec{
			Image: "gcc", Files: map[string]schemas.File{"main.c": {Text: &text}}, Args: []string{"gcc", "-Wall", "-c", "main.c"},
		})
		if err != nil || job.Result == nil {
			log.Printf("compile: %v, job %s %s", err, job.ID, job.State)
			http.Error(w, "not now", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"state": job.State, "said": job.Result.Stderr.Text}); err != nil {
			log.Print(err)
		}
	}
}
