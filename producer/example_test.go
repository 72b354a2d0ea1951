package producer_test

import (
	"context"
	"fmt"
	"log"
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
