// Go's net/http as an endpoint.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

// By hand: what its own writer would not write.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprint(buffered, text)
		buffered.Flush()
		conn.Close()
	}
}

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "ok")
	})
	http.HandleFunc("/trailer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(http.TrailerPrefix+"Cache-Control", "no-store")
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
		fmt.Fprint(w, "ok")
		w.(http.Flusher).Flush()
	})
	http.HandleFunc("/204", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		fmt.Fprint(w, "hello")
	})
	http.HandleFunc("/600", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(600)
		fmt.Fprint(w, "ok")
	})
	http.HandleFunc("/padding", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked \r\n\r\n0000000000000002 \r\nok\r\n0 \r\n\r\n"))
	http.HandleFunc("/fold", raw("HTTP/1.1 200 OK\r\nX-A: a;\n  b\r\nContent-Length: 2\r\n\r\nok"))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
