package store

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnPairCarriesBytes(t *testing.T) {
	t.Parallel()
	client, server := connPair()
	sent := bytes.Repeat([]byte("0123456789"), 100_000)
	if _, err := client.Write(sent); err != nil { // more than any kernel buffers
		t.Fatalf("Write: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; i < len(sent); i += 1000 {
			if _, err := server.Write(sent[i : i+1000]); err != nil {
				t.Errorf("Write: %v", err)
			}
		}
		if err := server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("client read %d bytes, %v, want the %d that were sent", len(got), err, len(sent))
	}
	wg.Wait()
	got, err = io.ReadAll(server)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("server read %d bytes after Close, %v, want the %d that were sent", len(got), err, len(sent))
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write after the end: got %v, want ErrClosedPipe", err)
	}
}

func TestConnPairDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := connPair()
		start := time.Now()
		if err := client.SetReadDeadline(start.Add(time.Hour)); err != nil {
			t.Fatalf("SetReadDeadline: %v", err)
		}
		_, err := client.Read(make([]byte, 1))
		var network net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &network) || !network.Timeout() || time.Since(start) != time.Hour {
			t.Errorf("Read: got %v after %v, want the deadline after an hour", err, time.Since(start))
		}

		// A waiting reader hears of a new deadline, of data and of the end.
		done := make(chan error)
		read := func() {
			_, err := client.Read(make([]byte, 1))
			done <- err
		}
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatalf("SetReadDeadline: %v", err)
		}
		go read()
		synctest.Wait()
		if err := client.SetDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatalf("SetDeadline: %v", err)
		}
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read at a new deadline: got %v", err)
		}
		if err := client.SetReadDeadline(time.Time{}); err != nil {
			t.Fatalf("SetReadDeadline: %v", err)
		}
		go read()
		synctest.Wait()
		if _, err := server.Write([]byte("x")); err != nil {
			t.Fatalf("Write: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Read: %v", err)
		}
		go read()
		synctest.Wait()
		if err := client.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Errorf("Read at the end: got %v, want EOF", err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("Read after the end: got %v, want EOF", err)
		}
	})
}
