// Node's http2 with extended CONNECT (RFC 8441): `serve IP PORT` answers every WebSocket on it with what it is sent, in capitals;
// `ask PORT AUTHORITY PATH TEXT` opens one, says TEXT, and prints what comes back.
const http2 = require("http2");

function frame(opcode, text, masked) {
    const data = Buffer.from(text);
    const head = Buffer.from([0x80 | opcode, (masked ? 0x80 : 0) | data.length]);    // of 125 bytes at most
    if (!masked) return Buffer.concat([head, data]);
    const mask = Buffer.from([1, 2, 3, 4]);
    return Buffer.concat([head, mask, data.map((octet, at) => octet ^ mask[at % 4])]);
}

function frames(taken) {
    let waiting = Buffer.alloc(0);
    return (chunk) => {
        waiting = Buffer.concat([waiting, chunk]);
        while (waiting.length >= 2) {
            const masked = waiting[1] & 0x80, length = waiting[1] & 0x7f, start = masked ? 6 : 2;
            if (waiting.length < start + length) return;
            const data = waiting.subarray(start, start + length);
            const mask = waiting.subarray(2, 6);
            taken(waiting[0] & 0x0f, masked ? data.map((octet, at) => octet ^ mask[at % 4]) : data);
            waiting = waiting.subarray(start + length);
        }
    };
}

function serve(ip, port) {
    const server = http2.createServer({ settings: { enableConnectProtocol: true } });
    server.on("stream", (stream, headers) => {
        if (headers[":method"] !== "CONNECT") {
            stream.respond({ ":status": 200 });
            return stream.end("ok");
        }
        stream.respond({ ":status": 200, "x-protocol": headers[":protocol"] });
        stream.on("data", frames((opcode, data) => {
            if (opcode === 8) return stream.end(frame(8, data));
            stream.write(frame(opcode, data.toString().toUpperCase()));
        }));
    });
    server.listen(Number(port), ip);
}

function ask(port, authority, path, text) {
    const client = http2.connect(`http://127.0.0.1:${port}`);
    client.on("remoteSettings", (settings) => {
        if (!settings.enableConnectProtocol) throw new Error("no extended CONNECT");
        const stream = client.request({
            ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":authority": authority, ":path": path,
            "sec-websocket-version": "13",
        }, { endStream: false });
        stream.on("response", (headers) => {
            console.log(headers[":status"]);
            stream.write(frame(1, text, true));
        });
        stream.on("data", frames((opcode, data) => {
            if (opcode !== 8) {
                console.log(data.toString());
                return stream.write(frame(8, "", true));
            }
            stream.end();
        }));
        stream.on("end", () => { console.log("end"); client.close(); });
    });
}

({ serve, ask })[process.argv[2]](...process.argv.slice(3));
