// Node's http as an endpoint.
const http = require("http");

const answers = {
    "/": (request, response) => response.end("ok"),
    "/trailer": (request, response) => {
        response.writeHead(200, { Trailer: "X-Sum" });
        response.write("ok");
        response.addTrailers({ "Cache-Control": "no-store", "X-Sum": "1" });
        response.end();
    },
    "/204": (request, response) => response.writeHead(204, { "Content-Length": 5 }).end("hello"),
    "/600": (request, response) => response.writeHead(600, "Odd").end("ok"),
    // by hand: what its own writer would not write
    "/padding": (request, response) => response.socket.end(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0002\t\r\nok\r\n0000 \r\n\r\n"),
    "/lf": (request, response) => response.socket.end("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"),
};

http.createServer((request, response) => {
    request.resume();
    request.on("end", () => answers[request.url](request, response));
}).listen(Number(process.argv[3]), process.argv[2]);
