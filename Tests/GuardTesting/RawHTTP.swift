import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// HTTP/1 over a plain socket, byte for byte: for tests that send what no client library would.
package enum RawHTTP {
    package struct Answer: Sendable {
        package var status: Int
        package var head: String
        package var bodyBytes: [UInt8]
        /// Repaired where it is not UTF-8.
        package var body: String { String(decoding: bodyBytes, as: UTF8.self) }
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Sends `request` and reads until the server closes or five seconds pass. The socket blocks a thread of its own,
    /// never one that the server under test runs on.
    package static func send(_ request: String, port: Int) async throws -> Answer {
        let bytes = try await exchange(Array(request.utf8), port: port)
        let mark = Array("\r\n\r\n".utf8)
        let end = (0..<max(0, bytes.count - 3)).first { bytes[$0..<($0 + 4)].elementsEqual(mark) }
        let head = String(decoding: bytes[..<(end ?? 0)], as: UTF8.self)
        guard let end, let status = Int(head.dropFirst(9).prefix(3)) else {
            throw Failure(description: "no HTTP answer in \(bytes.count) bytes")
        }
        return Answer(status: status, head: head, bodyBytes: Array(bytes[(end + 4)...]))
    }

    package static func exchange(_ request: [UInt8], port: Int) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try blockingExchange(request, port: port) })
            }
        }
    }

    /// A GET or POST that closes after its answer.
    package static func request(
        _ method: String, _ target: String, host: String = "127.0.0.1", headers: [String] = [], body: String = ""
    ) -> String {
        var lines = ["\(method) \(target) HTTP/1.1", "Host: \(host)", "Connection: close"] + headers
        if method == "POST" { lines.append("Content-Length: \(body.utf8.count)") }
        return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    private static func blockingExchange(_ request: [UInt8], port: Int) throws -> [UInt8] {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "socket: \(errno)") }
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Failure(description: "connect: \(errno)") }
        var left = request[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { break }
            left = left.dropFirst(count)
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return answer }
            answer += chunk[..<count]
        }
    }
}
