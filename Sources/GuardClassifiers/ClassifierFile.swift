internal import Crypto

/// A model file that cannot be read: what, and at which byte.
package struct ClassifierError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String
    package var offset: Int

    package var description: String { "\(message) (byte \(offset))" }
}

/// The file of a `LinearClassifier`, `.gclf`, version 1. Little-endian; floats are IEEE 754 single.
///
/// | bytes | holds |
/// |---|---|
/// | 4 | `GCLF` |
/// | 2 | version: 1 |
/// | 1, 1 | shortest and longest character n-gram |
/// | 1 | longest word n-gram |
/// | 1 | binary logarithm of the number of buckets, B |
/// | 1 | number of labels, L |
/// | 1 | 0 |
/// | 4 | seed of the hash |
/// | 4 | characters of a window |
/// | L times | length of the name (1 byte), name, bias (4), calibration: 0; or 1, a (4), b (4); or 2, number of points (2), x and y of each (4, 4) |
/// | 4 x L x B | weights, by bucket, then label |
/// | 32 | SHA-256 of everything before |
extension LinearClassifier {
    private static let magic = Array("GCLF".utf8)
    private static let version: UInt16 = 1
    private static let labelsMax = 64
    private static let weightsMax = 1 << 23
    private static let pointsMax = 4096
    private static let checksumBytes = 32

    package init(_ bytes: [UInt8]) throws(ClassifierError) {
        var reader = Reader(bytes: bytes)
        guard try reader.take(4).elementsEqual(Self.magic) else {
            throw ClassifierError(message: "does not begin with GCLF", offset: 0)
        }
        let version = try reader.integer(2)
        guard version == Self.version else {
            throw ClassifierError(message: "version \(version); this program reads version 1", offset: 4)
        }
        // Before anything is believed: what was cut or changed on the way is not a model.
        guard bytes.count >= Self.checksumBytes else { throw reader.truncated }
        let body = bytes[..<(bytes.count - Self.checksumBytes)]
        guard Array(SHA256.hash(data: body)).elementsEqual(bytes[body.endIndex...]) else {
            throw ClassifierError(message: "the checksum does not fit: the file is damaged", offset: body.endIndex)
        }
        reader = Reader(bytes: Array(body), at: reader.at)

        var features = FeatureOptions()
        features.charactersMin = try reader.integer(1)
        features.charactersMax = try reader.integer(1)
        features.wordsMax = try reader.integer(1)
        features.bucketsLog2 = try reader.integer(1)
        let labelsCount = try reader.integer(1)
        guard try reader.integer(1) == 0 else {
            throw ClassifierError(message: "a byte that has to be 0 is not", offset: reader.at - 1)
        }
        features.seed = UInt32(truncatingIfNeeded: try reader.integer(4))
        features.windowCharacters = try reader.integer(4)
        if let problem = features.problem { throw ClassifierError(message: problem, offset: 6) }
        guard (1...Self.labelsMax).contains(labelsCount), labelsCount * features.buckets <= Self.weightsMax else {
            throw ClassifierError(
                message: "1 to \(Self.labelsMax) labels and at most \(Self.weightsMax) weights are wanted", offset: 10)
        }
        var labels: [Label] = []
        for _ in 0..<labelsCount {
            let label = try reader.label(pointsMax: Self.pointsMax)
            guard !labels.contains(where: { $0.name.utf8.elementsEqual(label.name.utf8) }) else {
                throw ClassifierError(message: "a label is there twice", offset: reader.at)
            }
            labels.append(label)
        }
        let count = labelsCount * features.buckets
        guard reader.left == 4 * count else {
            throw ClassifierError(
                message: "\(reader.left) bytes of weights; the labels and buckets ask for \(4 * count)", offset: reader.at)
        }
        var weights: [Float] = []
        weights.reserveCapacity(count)
        for _ in 0..<count { weights.append(try reader.float()) }
        self.init(features: features, labels: labels, weights: weights)
    }

    package func encoded() -> [UInt8] {
        var out = Self.magic
        func add(_ value: Int, _ bytes: Int) {
            for byte in 0..<bytes { out.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
        }
        func add(_ value: Float) { add(Int(value.bitPattern), 4) }
        add(Int(Self.version), 2)
        add(features.charactersMin, 1)
        add(features.charactersMax, 1)
        add(features.wordsMax, 1)
        add(features.bucketsLog2, 1)
        add(labels.count, 1)
        add(0, 1)
        add(Int(features.seed), 4)
        add(features.windowCharacters, 4)
        for label in labels {
            add(label.name.utf8.count, 1)
            out += Array(label.name.utf8)
            add(label.bias)
            switch label.calibration {
            case .logistic: add(0, 1)
            case .platt(let a, let b):
                add(1, 1)
                add(a)
                add(b)
            case .isotonic(let points):
                add(2, 1)
                add(points.count, 2)
                for point in points {
                    add(point.x)
                    add(point.y)
                }
            }
        }
        for weight in weights { add(weight) }
        return ClassifierChecksum.added(to: out)
    }
}

enum ClassifierChecksum {
    static func added(to bytes: [UInt8]) -> [UInt8] { bytes + Array(SHA256.hash(data: bytes)) }
}

/// Every read is checked against the end.
private struct Reader {
    let bytes: [UInt8]
    var at = 0

    var left: Int { bytes.count - at }
    var truncated: ClassifierError { ClassifierError(message: "the file ends too early", offset: bytes.count) }

    mutating func take(_ count: Int) throws(ClassifierError) -> ArraySlice<UInt8> {
        guard count <= left else { throw truncated }
        defer { at += count }
        return bytes[at..<(at + count)]
    }

    /// Unsigned, of up to four bytes.
    mutating func integer(_ count: Int) throws(ClassifierError) -> Int {
        try take(count).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    mutating func float() throws(ClassifierError) -> Float {
        let value = Float(bitPattern: UInt32(truncatingIfNeeded: try integer(4)))
        guard value.isFinite else { throw ClassifierError(message: "a number is not finite", offset: at - 4) }
        return value
    }

    mutating func label(pointsMax: Int) throws(ClassifierError) -> LinearClassifier.Label {
        let length = try integer(1)
        let name = try take(length)
        guard length > 0, let text = String(validating: name, as: UTF8.self) else {
            throw ClassifierError(message: "a label's name is empty or no UTF-8", offset: at - length)
        }
        let bias = try float()
        let kind = try integer(1)
        let calibration: LinearClassifier.Calibration
        switch kind {
        case 0: calibration = .logistic
        case 1:
            let (a, b) = (try float(), try float())
            guard a > 0 else {
                throw ClassifierError(message: "a calibration that turns the order of scores round", offset: at - 8)
            }
            calibration = .platt(a: a, b: b)
        case 2:
            let count = try integer(2)
            guard (2...pointsMax).contains(count) else {
                throw ClassifierError(message: "a calibration has 2 to \(pointsMax) points", offset: at - 2)
            }
            var points: [LinearClassifier.Calibration.Point] = []
            for _ in 0..<count {
                let point = LinearClassifier.Calibration.Point(x: try float(), y: try float())
                guard (0...1).contains(point.y), points.last.map({ $0.x < point.x && $0.y <= point.y }) ?? true else {
                    throw ClassifierError(message: "the points of a calibration do not ascend", offset: at - 8)
                }
                points.append(point)
            }
            calibration = .isotonic(points)
        default: throw ClassifierError(message: "unknown calibration \(kind)", offset: at - 1)
        }
        return LinearClassifier.Label(name: text, bias: bias, calibration: calibration)
    }
}
