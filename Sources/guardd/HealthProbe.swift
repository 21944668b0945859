import GuardConfiguration
import Glibc

/// `guardd --probe`: one blocking GET on loopback, for kubelets that run a command in the container.
enum HealthProbe {
    static func isReady(_ address: ListenAddress) async -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = UInt16(truncatingIfNeeded: address.port).bigEndian
        // A wildcard listener is reached on loopback.
        if address.host == "0.0.0.0" || inet_pton(AF_INET, address.host, &target.sin_addr) != 1 {
            target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        }
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return false }
        let request = Array("GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return false }
        var answer = [UInt8](repeating: 0, count: 32)
        let count = recv(descriptor, &answer, answer.count, 0)
        return count >= 12 && answer[9..<12].elementsEqual("200".utf8)
    }
}
