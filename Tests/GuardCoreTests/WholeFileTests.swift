import Foundation
import Testing

@testable import GuardCore

@Suite struct WholeFileTests {
    @Test func filesAreReadWholeOrNotAtAll() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for count in [0, 1, 65_535, 65_536, 65_537, 200_000] {
            let path = folder.appending(path: "f\(count)").path
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            #expect(try WholeFile.read(path, maximum: count, isRegular: true) == bytes)
            guard count > 0 else { continue }
            #expect(throws: WholeFile.Failure.tooLarge(maximum: count - 1)) {
                try WholeFile.read(path, maximum: count - 1)
            }
        }
        #expect(throws: WholeFile.Failure.unreadable("No such file or directory")) {
            try WholeFile.read(folder.appending(path: "none").path)
        }
        #expect(throws: WholeFile.Failure.notRegular) { try WholeFile.read(folder.path, isRegular: true) }
        #expect(throws: WholeFile.Failure.self) { try WholeFile.read(folder.path) }
        // Without end, and a pipe that nobody writes to.
        #expect(throws: WholeFile.Failure.tooLarge(maximum: 100_000)) {
            try WholeFile.read("/dev/zero", maximum: 100_000)
        }
        let pipe = folder.appending(path: "pipe").path
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(throws: WholeFile.Failure.notRegular) { try WholeFile.read(pipe, isRegular: true) }
    }
}
