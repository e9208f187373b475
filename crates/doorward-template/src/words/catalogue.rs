//! The sentences. Each is written in every language, in the order of the languages' tags behind English, or the list does
//! not compile. A word in braces is a placeholder; a test compares them. Address people formally (Sie, vous, usted,
//! です・ます, 합니다), keep sentences short, and name buttons as the page names them.

use super::Language;

macro_rules! messages {
    ($($name:ident { en: $en:literal, de: $de:literal, es: $es:literal, fr: $fr:literal, ja: $ja:literal, ko: $ko:literal,
        zh: $zh:literal $(,)? })*) => {
        /// A sentence or a label of our pages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Message {
            $(#[doc = $en] $name,)*
        }

        impl Message {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// By which templates of ours ask for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The words, with placeholders where it has any.
            pub const fn text(self, language: Language) -> &'static str {
                let (en, de, es, fr, ja, ko, zh) = match self {
                    $(Self::$name => ($en, $de, $es, $fr, $ja, $ko, $zh),)*
                };
                match language {
                    Language::English => en,
                    Language::German => de,
                    Language::Spanish => es,
                    Language::French => fr,
                    Language::Japanese => ja,
                    Language::Korean => ko,
                    Language::Chinese => zh,
                }
            }
        }
    };
}

messages! {
    // Labels and buttons.
    SignInTitle {
        en: "Sign In",
        de: "Anmelden",
        es: "Iniciar sesión",
        fr: "Connexion",
        ja: "サインイン",
        ko: "로그인",
        zh: "登录",
    }
    SignIn {
        en: "Sign in",
        de: "Anmelden",
        es: "Iniciar sesión",
        fr: "Se connecter",
        ja: "サインイン",
        ko: "로그인",
        zh: "登录",
    }
    SignInWith {
        en: "Sign in with {provider}",
        de: "Mit {provider} anmelden",
        es: "Iniciar sesión con {provider}",
        fr: "Se connecter avec {provider}",
        ja: "{provider} でサインイン",
        ko: "{provider} 계정으로 로그인",
        zh: "使用 {provider} 登录",
    }
    SignInAgain {
        en: "Sign in again",
        de: "Erneut anmelden",
        es: "Volver a iniciar sesión",
        fr: "Se reconnecter",
        ja: "もう一度サインイン",
        ko: "다시 로그인",
        zh: "重新登录",
    }
    SignInAnotherWay {
        en: "Sign in another way",
        de: "Auf andere Weise anmelden",
        es: "Iniciar sesión de otra forma",
        fr: "Se connecter autrement",
        ja: "別の方法でサインイン",
        ko: "다른 방법으로 로그인",
        zh: "使用其他方式登录",
    }
    Or {
        en: "or",
        de: "oder",
        es: "o",
        fr: "ou",
        ja: "または",
        ko: "또는",
        zh: "或",
    }
    Username {
        en: "Username",
        de: "Benutzername",
        es: "Nombre de usuario",
        fr: "Nom d’utilisateur",
        ja: "ユーザー名",
        ko: "사용자 이름",
        zh: "用户名",
    }
    Password {
        en: "Password",
        de: "Passwort",
        es: "Contraseña",
        fr: "Mot de passe",
        ja: "パスワード",
        ko: "비밀번호",
        zh: "密码",
    }
    SignOut {
        en: "Sign out",
        de: "Abmelden",
        es: "Cerrar sesión",
        fr: "Se déconnecter",
        ja: "サインアウト",
        ko: "로그아웃",
        zh: "退出登录",
    }
    TryAgain {
        en: "Try again",
        de: "Erneut versuchen",
        es: "Reintentar",
        fr: "Réessayer",
        ja: "再試行",
        ko: "다시 시도",
        zh: "重试",
    }
    GoBack {
        en: "Go back",
        de: "Zurück",
        es: "Volver",
        fr: "Retour",
        ja: "戻る",
        ko: "돌아가기",
        zh: "返回",
    }
    Continue {
        en: "Continue",
        de: "Weiter",
        es: "Continuar",
        fr: "Continuer",
        ja: "続行",
        ko: "계속",
        zh: "继续",
    }
    UseAnotherAccount {
        en: "Use another account",
        de: "Anderes Konto verwenden",
        es: "Usar otra cuenta",
        fr: "Utiliser un autre compte",
        ja: "別のアカウントを使用",
        ko: "다른 계정 사용",
        zh: "使用其他账号",
    }
    ForTheOperator {
        en: "For the person who runs this site",
        de: "Für die Person, die diese Website betreibt",
        es: "Para quien administra este sitio",
        fr: "Pour la personne qui gère ce site",
        ja: "このサイトの管理者の方へ",
        ko: "이 사이트의 관리자에게",
        zh: "致本网站的管理员",
    }
    RequestId {
        en: "Request ID: {id}",
        de: "Anfrage-ID: {id}",
        es: "ID de la solicitud: {id}",
        fr: "ID de la requête\u{a0}: {id}",
        ja: "リクエスト ID: {id}",
        ko: "요청 ID: {id}",
        zh: "请求 ID：{id}",
    }
    GuardedBy {
        en: "Guarded by {product}",
        de: "Geschützt durch {product}",
        es: "Protegido por {product}",
        fr: "Protégé par {product}",
        ja: "{product} により保護されています",
        ko: "{product}의 보호를 받고 있습니다",
        zh: "由 {product} 保护",
    }
    YouAreSignedInAs {
        en: "You are signed in as {user}.",
        de: "Sie sind als {user} angemeldet.",
        es: "Ha iniciado sesión como {user}.",
        fr: "Vous êtes connecté en tant que {user}.",
        ja: "{user} としてサインインしています。",
        ko: "{user} 계정으로 로그인되어 있습니다.",
        zh: "您已登录为 {user}。",
    }
    SignedInAs {
        en: "Signed in as {user}.",
        de: "Angemeldet als {user}.",
        es: "Sesión iniciada como {user}.",
        fr: "Connecté en tant que {user}.",
        ja: "{user} としてサインイン中。",
        ko: "{user} 계정으로 로그인됨.",
        zh: "已登录为 {user}。",
    }
    // The sign-in page.
    AuthenticateUsing {
        en: "Authenticate using {domain}",
        de: "Melden Sie sich mit einem Konto von {domain} an",
        es: "Inicie sesión con una cuenta de {domain}",
        fr: "Connectez-vous avec un compte de {domain}",
        ja: "{domain} のアカウントでサインインしてください",
        ko: "{domain} 계정으로 로그인하십시오",
        zh: "请使用 {domain} 的账号登录",
    }
    AuthenticateUsingOneOf {
        en: "Authenticate using one of the following domains: {domains}",
        de: "Melden Sie sich mit einem Konto einer dieser Domains an: {domains}",
        es: "Inicie sesión con una cuenta de uno de estos dominios: {domains}",
        fr: "Connectez-vous avec un compte de l’un de ces domaines\u{a0}: {domains}",
        ja: "次のいずれかのドメインのアカウントでサインインしてください: {domains}",
        ko: "다음 도메인 중 하나의 계정으로 로그인하십시오: {domains}",
        zh: "请使用以下任一域名的账号登录：{domains}",
    }
    NoWayIsSetUp {
        en: "No way to sign in is set up here.",
        de: "Hier ist keine Anmeldung eingerichtet.",
        es: "Aquí no se ha configurado ninguna forma de iniciar sesión.",
        fr: "Aucun moyen de connexion n’est configuré ici.",
        ja: "サインインの方法が設定されていません。",
        ko: "설정된 로그인 방법이 없습니다.",
        zh: "此处未设置任何登录方式。",
    }
    GiveUserName {
        en: "Please give a user name.",
        de: "Bitte geben Sie einen Benutzernamen ein.",
        es: "Introduzca un nombre de usuario.",
        fr: "Veuillez saisir un nom d’utilisateur.",
        ja: "ユーザー名を入力してください。",
        ko: "사용자 이름을 입력하십시오.",
        zh: "请输入用户名。",
    }
    WrongPassword {
        en: "The user name or the password is wrong.",
        de: "Der Benutzername oder das Passwort ist falsch.",
        es: "El nombre de usuario o la contraseña no son correctos.",
        fr: "Le nom d’utilisateur ou le mot de passe est incorrect.",
        ja: "ユーザー名またはパスワードが正しくありません。",
        ko: "사용자 이름 또는 비밀번호가 올바르지 않습니다.",
        zh: "用户名或密码错误。",
    }
    // Headings of error pages, by status.
    BadRequest {
        en: "Bad Request",
        de: "Ungültige Anfrage",
        es: "Solicitud incorrecta",
        fr: "Requête incorrecte",
        ja: "不正なリクエスト",
        ko: "잘못된 요청",
        zh: "请求无效",
    }
    Unauthorized {
        en: "Unauthorized",
        de: "Nicht angemeldet",
        es: "Sin iniciar sesión",
        fr: "Non connecté",
        ja: "サインインが必要です",
        ko: "로그인 필요",
        zh: "未登录",
    }
    Forbidden {
        en: "Forbidden",
        de: "Kein Zugriff",
        es: "Acceso denegado",
        fr: "Accès refusé",
        ja: "アクセスできません",
        ko: "접근 거부됨",
        zh: "禁止访问",
    }
    NotFound {
        en: "Not Found",
        de: "Nicht gefunden",
        es: "No encontrado",
        fr: "Page introuvable",
        ja: "見つかりません",
        ko: "찾을 수 없음",
        zh: "未找到",
    }
    PayloadTooLarge {
        en: "Payload Too Large",
        de: "Anfrage zu groß",
        es: "Solicitud demasiado grande",
        fr: "Requête trop volumineuse",
        ja: "リクエストが大きすぎます",
        ko: "요청이 너무 큼",
        zh: "请求过大",
    }
    RequestTimeout {
        en: "Request Timeout",
        de: "Zeit überschritten",
        es: "Tiempo de espera agotado",
        fr: "Délai dépassé",
        ja: "タイムアウト",
        ko: "요청 시간 초과",
        zh: "请求超时",
    }
    TooManyRequests {
        en: "Too Many Requests",
        de: "Zu viele Anfragen",
        es: "Demasiadas solicitudes",
        fr: "Trop de requêtes",
        ja: "リクエストが多すぎます",
        ko: "요청이 너무 많음",
        zh: "请求过多",
    }
    InternalServerError {
        en: "Internal Server Error",
        de: "Interner Fehler",
        es: "Error interno del servidor",
        fr: "Erreur interne du serveur",
        ja: "サーバー内部エラー",
        ko: "서버 내부 오류",
        zh: "服务器内部错误",
    }
    BadGateway {
        en: "Bad Gateway",
        de: "Die Anwendung antwortet nicht",
        es: "La aplicación no responde",
        fr: "L’application ne répond pas",
        ja: "アプリケーションが応答しません",
        ko: "애플리케이션이 응답하지 않음",
        zh: "应用程序没有响应",
    }
    ServiceUnavailable {
        en: "Service Unavailable",
        de: "Nicht verfügbar",
        es: "Servicio no disponible",
        fr: "Service indisponible",
        ja: "利用できません",
        ko: "서비스를 사용할 수 없음",
        zh: "服务不可用",
    }
    GatewayTimeout {
        en: "Gateway Timeout",
        de: "Die Anwendung antwortet zu langsam",
        es: "La aplicación tarda demasiado",
        fr: "L’application met trop de temps à répondre",
        ja: "アプリケーションの応答に時間がかかりすぎています",
        ko: "애플리케이션의 응답 시간 초과",
        zh: "应用程序响应超时",
    }
    // What error pages say, by status.
    NoPermission {
        en: "You do not have permission to access this page.",
        de: "Sie dürfen auf diese Seite nicht zugreifen.",
        es: "No tiene permiso para acceder a esta página.",
        fr: "Vous n’êtes pas autorisé à accéder à cette page.",
        ja: "このページにアクセスする権限がありません。",
        ko: "이 페이지에 접근할 권한이 없습니다.",
        zh: "您没有访问此页面的权限。",
    }
    SignInNeeded {
        en: "You need to sign in to see this page.",
        de: "Sie müssen sich anmelden, um diese Seite zu sehen.",
        es: "Debe iniciar sesión para ver esta página.",
        fr: "Vous devez vous connecter pour voir cette page.",
        ja: "このページを表示するには、サインインが必要です。",
        ko: "이 페이지를 보려면 로그인해야 합니다.",
        zh: "您需要登录才能查看此页面。",
    }
    NoSuchPage {
        en: "There is no such page.",
        de: "Diese Seite gibt es nicht.",
        es: "Esta página no existe.",
        fr: "Cette page n’existe pas.",
        ja: "このページは存在しません。",
        ko: "이 페이지는 존재하지 않습니다.",
        zh: "此页面不存在。",
    }
    PageNotAvailable {
        en: "This page is not available at the moment.",
        de: "Diese Seite ist im Moment nicht verfügbar.",
        es: "Esta página no está disponible en este momento.",
        fr: "Cette page n’est pas disponible pour le moment.",
        ja: "現在、このページは利用できません。",
        ko: "지금은 이 페이지를 사용할 수 없습니다.",
        zh: "此页面目前不可用。",
    }
    WentWrong {
        en: "Something went wrong on our side. The log of doorward says more, under the request id below.",
        de: "Bei uns ist ein Fehler aufgetreten. Mehr dazu steht im Protokoll von doorward unter der Anfrage-ID unten.",
        es: "Se ha producido un error en nuestro lado. El registro de doorward da más detalles con el ID de la solicitud que figura abajo.",
        fr: "Une erreur s’est produite de notre côté. Le journal de doorward en dit plus, sous l’ID de la requête ci-dessous.",
        ja: "サーバー側で問題が発生しました。詳細は、下記のリクエスト ID で doorward のログに記録されています。",
        ko: "서버에서 문제가 발생했습니다. 자세한 내용은 아래 요청 ID로 doorward 로그에서 확인할 수 있습니다.",
        zh: "我们这边出现了问题。详情可凭下方的请求 ID 在 doorward 的日志中查看。",
    }
    // Why a request is refused.
    EmailAbsent {
        en: "Your account has no e-mail address, and access is granted by e-mail address.",
        de: "Ihr Konto hat keine E-Mail-Adresse, und der Zugriff wird anhand der E-Mail-Adresse gewährt.",
        es: "Su cuenta no tiene dirección de correo electrónico, y el acceso se concede según esa dirección.",
        fr: "Votre compte n’a pas d’adresse e-mail, et l’accès est accordé d’après celle-ci.",
        ja: "アクセスの可否はメールアドレスで判断されますが、お使いのアカウントにはメールアドレスがありません。",
        ko: "이메일 주소를 기준으로 접근이 허용되지만, 이 계정에는 이메일 주소가 없습니다.",
        zh: "访问权限按电子邮件地址授予，但您的账号没有电子邮件地址。",
    }
    EmailMalformed {
        en: "The e-mail address of your account cannot be read.",
        de: "Die E-Mail-Adresse Ihres Kontos ist nicht lesbar.",
        es: "No se puede leer la dirección de correo electrónico de su cuenta.",
        fr: "L’adresse e-mail de votre compte est illisible.",
        ja: "お使いのアカウントのメールアドレスを読み取れません。",
        ko: "이 계정의 이메일 주소를 읽을 수 없습니다.",
        zh: "无法识别您账号的电子邮件地址。",
    }
    EmailNotAllowed {
        en: "The e-mail address of your account is not among those allowed here.",
        de: "Die E-Mail-Adresse Ihres Kontos ist hier nicht zugelassen.",
        es: "La dirección de correo electrónico de su cuenta no está permitida aquí.",
        fr: "L’adresse e-mail de votre compte n’est pas autorisée ici.",
        ja: "お使いのアカウントのメールアドレスは、ここでは許可されていません。",
        ko: "이 계정의 이메일 주소는 여기에서 허용되지 않습니다.",
        zh: "您账号的电子邮件地址不在此处允许的范围内。",
    }
    GroupMissing {
        en: "Your account is in none of the groups or roles that are allowed here.",
        de: "Ihr Konto gehört zu keiner der Gruppen oder Rollen, die hier zugelassen sind.",
        es: "Su cuenta no pertenece a ninguno de los grupos o roles permitidos aquí.",
        fr: "Votre compte n’appartient à aucun des groupes ou rôles autorisés ici.",
        ja: "お使いのアカウントは、ここで許可されているグループやロールに属していません。",
        ko: "이 계정은 여기에서 허용된 그룹이나 역할에 속하지 않습니다.",
        zh: "您的账号不属于此处允许的任何组或角色。",
    }
    NotAmongAllowed {
        en: "Your account is not among those allowed on this page.",
        de: "Ihr Konto ist für diese Seite nicht zugelassen.",
        es: "Su cuenta no está entre las permitidas en esta página.",
        fr: "Votre compte ne fait pas partie de ceux autorisés sur cette page.",
        ja: "お使いのアカウントは、このページでは許可されていません。",
        ko: "이 계정은 이 페이지에 접근하도록 허용되지 않았습니다.",
        zh: "您的账号不在此页面允许的账号之列。",
    }
    MayNot {
        en: "You may not do this here.",
        de: "Das dürfen Sie hier nicht.",
        es: "No está autorizado a hacer esto aquí.",
        fr: "Vous n’êtes pas autorisé à faire cela ici.",
        ja: "この操作は許可されていません。",
        ko: "여기에서는 이 작업을 할 수 없습니다.",
        zh: "您无权在此执行此操作。",
    }
    BadCredential {
        en: "What you sent to identify yourself is not valid.",
        de: "Womit Sie sich ausgewiesen haben, ist nicht gültig.",
        es: "Las credenciales que ha enviado no son válidas.",
        fr: "Les identifiants que vous avez envoyés ne sont pas valides.",
        ja: "送信された認証情報は有効ではありません。",
        ko: "보내신 인증 정보가 유효하지 않습니다.",
        zh: "您提交的身份凭据无效。",
    }
    CannotTellWho {
        en: "It cannot be told at the moment who you are. Try again shortly.",
        de: "Im Moment lässt sich nicht feststellen, wer Sie sind. Versuchen Sie es in Kürze erneut.",
        es: "En este momento no se puede comprobar quién es usted. Vuelva a intentarlo en breve.",
        fr: "Il est impossible de vérifier votre identité pour le moment. Réessayez dans un instant.",
        ja: "現在、ご本人の確認ができません。しばらくしてからもう一度お試しください。",
        ko: "지금은 사용자를 확인할 수 없습니다. 잠시 후 다시 시도하십시오.",
        zh: "目前无法确认您的身份。请稍后重试。",
    }
    StrongerLoginNeeded {
        en: "A stronger or more recent sign-in is needed here.",
        de: "Hier ist eine stärkere oder neuere Anmeldung nötig.",
        es: "Aquí se necesita un inicio de sesión más seguro o más reciente.",
        fr: "Une connexion plus forte ou plus récente est nécessaire ici.",
        ja: "ここでは、より強力な認証、または改めてのサインインが必要です。",
        ko: "여기에서는 더 강력하거나 더 최근의 로그인이 필요합니다.",
        zh: "此处需要更强或更近期的登录。",
    }
    RequestNotRead {
        en: "This request cannot be read",
        de: "Diese Anfrage kann nicht gelesen werden",
        es: "No se puede leer esta solicitud",
        fr: "Cette requête ne peut pas être lue",
        ja: "このリクエストは読み取れません",
        ko: "이 요청을 읽을 수 없습니다",
        zh: "无法读取此请求",
    }
    SessionsNotRead {
        en: "Sessions cannot be read at the moment. You are still signed in: try again shortly.",
        de: "Sitzungen können im Moment nicht gelesen werden. Sie sind weiterhin angemeldet: Versuchen Sie es in Kürze erneut.",
        es: "En este momento no se pueden leer las sesiones. Su sesión sigue abierta: vuelva a intentarlo en breve.",
        fr: "Les sessions ne peuvent pas être lues pour le moment. Vous êtes toujours connecté\u{a0}: réessayez dans un instant.",
        ja: "現在、セッションを読み取れません。サインインの状態は続いています。しばらくしてからもう一度お試しください。",
        ko: "지금은 세션을 읽을 수 없습니다. 로그인 상태는 유지됩니다. 잠시 후 다시 시도하십시오.",
        zh: "目前无法读取会话。您仍处于登录状态，请稍后重试。",
    }
    UpstreamProblem {
        en: "There was a problem connecting to the upstream server.",
        de: "Der dahinterliegende Server konnte nicht erreicht werden.",
        es: "Hubo un problema al conectar con el servidor de origen.",
        fr: "Un problème est survenu lors de la connexion au serveur en amont.",
        ja: "接続先のサーバーとの通信に問題が発生しました。",
        ko: "업스트림 서버에 연결하는 중 문제가 발생했습니다.",
        zh: "连接上游服务器时出现问题。",
    }
    // Logins that fail.
    SentByAnotherSite {
        en: "This sign-in was sent by another site. Please sign in on the page of this one.",
        de: "Diese Anmeldung wurde von einer anderen Website gesendet. Bitte melden Sie sich auf der Seite dieser Website an.",
        es: "Este inicio de sesión lo envió otro sitio. Inicie sesión en la página de este.",
        fr: "Cette connexion a été envoyée par un autre site. Veuillez vous connecter sur la page de celui-ci.",
        ja: "このサインインは別のサイトから送信されました。このサイトのページからサインインしてください。",
        ko: "이 로그인은 다른 사이트에서 보낸 것입니다. 이 사이트의 페이지에서 로그인하십시오.",
        zh: "此登录请求由其他网站发送。请在本网站的页面上登录。",
    }
    AnswerFromElsewhere {
        en: "The answer did not come from the identity provider of this site.",
        de: "Die Antwort kam nicht vom Identitätsanbieter dieser Website.",
        es: "La respuesta no procede del proveedor de identidad de este sitio.",
        fr: "La réponse ne provient pas du fournisseur d’identité de ce site.",
        ja: "この応答は、このサイトの ID プロバイダーからのものではありません。",
        ko: "이 응답은 이 사이트의 ID 제공자에서 온 것이 아닙니다.",
        zh: "该响应并非来自本网站的身份提供商。",
    }
    ProviderError {
        en: "Login Failed: The upstream identity provider returned an error: {error}",
        de: "Anmeldung fehlgeschlagen: Der Identitätsanbieter meldet einen Fehler: {error}",
        es: "Error al iniciar sesión: el proveedor de identidad devolvió un error: {error}",
        fr: "Échec de la connexion\u{a0}: le fournisseur d’identité a renvoyé une erreur\u{a0}: {error}",
        ja: "サインインに失敗しました。ID プロバイダーがエラーを返しました: {error}",
        ko: "로그인에 실패했습니다. ID 제공자가 오류를 반환했습니다: {error}",
        zh: "登录失败：身份提供商返回了错误：{error}",
    }
    NoCsrf {
        en: "Login Failed: Unable to find a valid CSRF token. Please try again.",
        de: "Anmeldung fehlgeschlagen: Es wurde kein gültiges CSRF-Token gefunden. Bitte versuchen Sie es erneut.",
        es: "Error al iniciar sesión: no se encontró un token CSRF válido. Vuelva a intentarlo.",
        fr: "Échec de la connexion\u{a0}: aucun jeton CSRF valide n’a été trouvé. Veuillez réessayer.",
        ja: "サインインに失敗しました。有効な CSRF トークンが見つかりません。もう一度お試しください。",
        ko: "로그인에 실패했습니다. 유효한 CSRF 토큰을 찾을 수 없습니다. 다시 시도하십시오.",
        zh: "登录失败：找不到有效的 CSRF 令牌。请重试。",
    }
    BegunElsewhere {
        en: "This sign-in was begun in another tab, took too long, or its cookie was not sent back.",
        de: "Diese Anmeldung wurde in einem anderen Tab begonnen, hat zu lange gedauert, oder ihr Cookie wurde nicht zurückgesendet.",
        es: "Este inicio de sesión se comenzó en otra pestaña, tardó demasiado o no se devolvió su cookie.",
        fr: "Cette connexion a été commencée dans un autre onglet, a pris trop de temps, ou son cookie n’a pas été renvoyé.",
        ja: "このサインインは別のタブで開始されたか、時間がかかりすぎたか、Cookie が送り返されませんでした。",
        ko: "이 로그인은 다른 탭에서 시작되었거나, 시간이 너무 오래 걸렸거나, 쿠키가 전송되지 않았습니다.",
        zh: "此登录是在其他标签页中开始的、耗时过长，或其 Cookie 未被送回。",
    }
    NotAccepted {
        en: "The identity provider did not accept this sign-in. Please try again.",
        de: "Der Identitätsanbieter hat diese Anmeldung nicht angenommen. Bitte versuchen Sie es erneut.",
        es: "El proveedor de identidad no aceptó este inicio de sesión. Vuelva a intentarlo.",
        fr: "Le fournisseur d’identité n’a pas accepté cette connexion. Veuillez réessayer.",
        ja: "ID プロバイダーがこのサインインを受け付けませんでした。もう一度お試しください。",
        ko: "ID 제공자가 이 로그인을 받아들이지 않았습니다. 다시 시도하십시오.",
        zh: "身份提供商未接受此次登录。请重试。",
    }
    TokenForSomebodyElse {
        en: "The token from the identity provider is meant for somebody else: its claim {claim} is {values}, expected was {expected}.",
        de: "Das Token des Identitätsanbieters ist für jemand anderen bestimmt: Sein Claim {claim} ist {values}, erwartet wurde {expected}.",
        es: "El token del proveedor de identidad va dirigido a otro destinatario: su claim {claim} es {values}; se esperaba {expected}.",
        fr: "Le jeton du fournisseur d’identité est destiné à un autre\u{a0}: sa revendication {claim} vaut {values}, la valeur attendue était {expected}.",
        ja: "ID プロバイダーのトークンは別の宛先のものです。クレーム {claim} は {values} ですが、{expected} である必要があります。",
        ko: "ID 제공자의 토큰은 다른 대상을 위한 것입니다. 클레임 {claim}의 값: {values}, 예상한 값: {expected}.",
        zh: "身份提供商的令牌是签发给其他对象的：其声明 {claim} 为 {values}，应为 {expected}。",
    }
    OtherSignInAnswered {
        en: "The identity provider answered another sign-in than this one. Please try again.",
        de: "Der Identitätsanbieter hat auf eine andere Anmeldung geantwortet. Bitte versuchen Sie es erneut.",
        es: "El proveedor de identidad respondió a otro inicio de sesión. Vuelva a intentarlo.",
        fr: "Le fournisseur d’identité a répondu à une autre connexion que celle-ci. Veuillez réessayer.",
        ja: "ID プロバイダーの応答は、このサインインに対するものではありません。もう一度お試しください。",
        ko: "ID 제공자가 다른 로그인에 응답했습니다. 다시 시도하십시오.",
        zh: "身份提供商响应的是另一次登录。请重试。",
    }
    ProviderGaveNoEmail {
        en: "The identity provider gave no e-mail address for your account.",
        de: "Der Identitätsanbieter hat für Ihr Konto keine E-Mail-Adresse angegeben.",
        es: "El proveedor de identidad no indicó ninguna dirección de correo electrónico para su cuenta.",
        fr: "Le fournisseur d’identité n’a fourni aucune adresse e-mail pour votre compte.",
        ja: "ID プロバイダーから、お使いのアカウントのメールアドレスが提供されませんでした。",
        ko: "ID 제공자가 이 계정의 이메일 주소를 제공하지 않았습니다.",
        zh: "身份提供商未提供您账号的电子邮件地址。",
    }
    EmailNotVerified {
        en: "The e-mail address of your account is not verified at the identity provider.",
        de: "Die E-Mail-Adresse Ihres Kontos ist beim Identitätsanbieter nicht bestätigt.",
        es: "La dirección de correo electrónico de su cuenta no está verificada en el proveedor de identidad.",
        fr: "L’adresse e-mail de votre compte n’est pas vérifiée auprès du fournisseur d’identité.",
        ja: "お使いのアカウントのメールアドレスは、ID プロバイダーで確認されていません。",
        ko: "이 계정의 이메일 주소가 ID 제공자에서 확인되지 않았습니다.",
        zh: "您账号的电子邮件地址尚未在身份提供商处验证。",
    }
    IdentityProviderUnreachable {
        en: "The identity provider cannot be reached at the moment. Please try again shortly.",
        de: "Der Identitätsanbieter ist im Moment nicht erreichbar. Bitte versuchen Sie es in Kürze erneut.",
        es: "No se puede acceder al proveedor de identidad en este momento. Vuelva a intentarlo en breve.",
        fr: "Le fournisseur d’identité est injoignable pour le moment. Veuillez réessayer dans un instant.",
        ja: "現在、ID プロバイダーに接続できません。しばらくしてからもう一度お試しください。",
        ko: "지금은 ID 제공자에 연결할 수 없습니다. 잠시 후 다시 시도하십시오.",
        zh: "目前无法连接身份提供商。请稍后重试。",
    }
    TokenNotVerified {
        en: "The token from the identity provider could not be verified.",
        de: "Das Token des Identitätsanbieters konnte nicht geprüft werden.",
        es: "No se pudo verificar el token del proveedor de identidad.",
        fr: "Le jeton du fournisseur d’identité n’a pas pu être vérifié.",
        ja: "ID プロバイダーのトークンを検証できませんでした。",
        ko: "ID 제공자의 토큰을 검증할 수 없습니다.",
        zh: "无法验证身份提供商的令牌。",
    }
    NotAdmitted {
        en: "Your account is not one of those that may sign in here.",
        de: "Ihr Konto gehört nicht zu denen, die sich hier anmelden dürfen.",
        es: "Su cuenta no es una de las que pueden iniciar sesión aquí.",
        fr: "Votre compte ne fait pas partie de ceux qui peuvent se connecter ici.",
        ja: "お使いのアカウントは、ここへのサインインを許可されていません。",
        ko: "이 계정은 여기에 로그인할 수 없는 계정입니다.",
        zh: "您的账号不在允许登录此处的账号之列。",
    }
    TooWeak {
        en: "This site demands a stronger or fresher sign-in than the one at the identity provider. Please try again, and follow what the provider asks for.",
        de: "Diese Website verlangt eine stärkere oder neuere Anmeldung als die beim Identitätsanbieter. Bitte versuchen Sie es erneut und folgen Sie den Anweisungen des Anbieters.",
        es: "Este sitio exige un inicio de sesión más seguro o más reciente que el del proveedor de identidad. Vuelva a intentarlo y siga lo que le pida el proveedor.",
        fr: "Ce site exige une connexion plus forte ou plus récente que celle effectuée auprès du fournisseur d’identité. Veuillez réessayer et suivre les indications du fournisseur.",
        ja: "このサイトでは、ID プロバイダーでの認証よりも強力な認証、または改めてのサインインが必要です。もう一度試し、プロバイダーの指示に従ってください。",
        ko: "이 사이트는 ID 제공자에서의 로그인보다 더 강력하거나 더 최근의 로그인을 요구합니다. 다시 시도하고 제공자의 안내를 따르십시오.",
        zh: "本网站要求比身份提供商处的登录更强或更近期的登录。请重试，并按照提供商的要求操作。",
    }
    CookieNotSent {
        en: "Your browser did not send back a cookie of this site, because of how the site is set up. Trying again will not help: please tell whoever runs it.",
        de: "Ihr Browser hat ein Cookie dieser Website nicht zurückgesendet, weil die Website so eingerichtet ist. Ein neuer Versuch hilft nicht: Bitte informieren Sie die Betreiber.",
        es: "Su navegador no devolvió una cookie de este sitio por la forma en que está configurado. Volver a intentarlo no ayudará: avise a quien lo administra.",
        fr: "Votre navigateur n’a pas renvoyé un cookie de ce site, en raison de la configuration du site. Réessayer ne servira à rien\u{a0}: veuillez prévenir la personne qui le gère.",
        ja: "サイトの設定により、ブラウザーがこのサイトの Cookie を送り返しませんでした。再試行しても解決しません。サイトの管理者にお知らせください。",
        ko: "사이트 설정 때문에 브라우저가 이 사이트의 쿠키를 다시 보내지 않았습니다. 다시 시도해도 해결되지 않습니다. 사이트 관리자에게 알려 주십시오.",
        zh: "由于本站的设置，您的浏览器未送回本站的 Cookie。重试无济于事：请告知网站管理员。",
    }
    SecretNotShared {
        en: "This sign-in was begun at another server of this site, which does not share its secret. Please tell whoever runs it.",
        de: "Diese Anmeldung wurde an einem anderen Server dieser Website begonnen, der ihr Geheimnis nicht teilt. Bitte informieren Sie die Betreiber.",
        es: "Este inicio de sesión se comenzó en otro servidor de este sitio que no comparte su secreto. Avise a quien lo administra.",
        fr: "Cette connexion a été commencée sur un autre serveur de ce site, qui ne partage pas son secret. Veuillez prévenir la personne qui le gère.",
        ja: "このサインインは、シークレットを共有していないこのサイトの別のサーバーで開始されました。サイトの管理者にお知らせください。",
        ko: "이 로그인은 비밀 키를 공유하지 않는 이 사이트의 다른 서버에서 시작되었습니다. 사이트 관리자에게 알려 주십시오.",
        zh: "此登录是在本站另一台未共享密钥的服务器上开始的。请告知网站管理员。",
    }
    ClocksDiffer {
        en: "The clocks of this site and of the identity provider differ. Please tell whoever runs this site.",
        de: "Die Uhren dieser Website und des Identitätsanbieters weichen voneinander ab. Bitte informieren Sie die Betreiber dieser Website.",
        es: "Los relojes de este sitio y del proveedor de identidad no coinciden. Avise a quien administra este sitio.",
        fr: "Les horloges de ce site et du fournisseur d’identité diffèrent. Veuillez prévenir la personne qui gère ce site.",
        ja: "このサイトと ID プロバイダーの時計がずれています。サイトの管理者にお知らせください。",
        ko: "이 사이트와 ID 제공자의 시계가 서로 다릅니다. 사이트 관리자에게 알려 주십시오.",
        zh: "本站与身份提供商的时钟不一致。请告知网站管理员。",
    }
    AddressNotKnown {
        en: "The identity provider does not know the address of this site. Please tell whoever runs it.",
        de: "Der Identitätsanbieter kennt die Adresse dieser Website nicht. Bitte informieren Sie die Betreiber.",
        es: "El proveedor de identidad no conoce la dirección de este sitio. Avise a quien lo administra.",
        fr: "Le fournisseur d’identité ne connaît pas l’adresse de ce site. Veuillez prévenir la personne qui le gère.",
        ja: "ID プロバイダーはこのサイトのアドレスを認識していません。サイトの管理者にお知らせください。",
        ko: "ID 제공자가 이 사이트의 주소를 알지 못합니다. 사이트 관리자에게 알려 주십시오.",
        zh: "身份提供商不认识本站的地址。请告知网站管理员。",
    }
    SiteNotAccepted {
        en: "The identity provider does not accept this site. Please tell whoever runs it.",
        de: "Der Identitätsanbieter akzeptiert diese Website nicht. Bitte informieren Sie die Betreiber.",
        es: "El proveedor de identidad no acepta este sitio. Avise a quien lo administra.",
        fr: "Le fournisseur d’identité n’accepte pas ce site. Veuillez prévenir la personne qui le gère.",
        ja: "ID プロバイダーがこのサイトを受け入れていません。サイトの管理者にお知らせください。",
        ko: "ID 제공자가 이 사이트를 받아들이지 않습니다. 사이트 관리자에게 알려 주십시오.",
        zh: "身份提供商不接受本站。请告知网站管理员。",
    }
    ProviderAsksForMore {
        en: "The identity provider asks for something that this site does not do. Please tell whoever runs it.",
        de: "Der Identitätsanbieter verlangt etwas, das diese Website nicht tut. Bitte informieren Sie die Betreiber.",
        es: "El proveedor de identidad exige algo que este sitio no hace. Avise a quien lo administra.",
        fr: "Le fournisseur d’identité demande quelque chose que ce site ne fait pas. Veuillez prévenir la personne qui le gère.",
        ja: "ID プロバイダーが、このサイトでは行っていない処理を求めています。サイトの管理者にお知らせください。",
        ko: "ID 제공자가 이 사이트에서 하지 않는 것을 요구합니다. 사이트 관리자에게 알려 주십시오.",
        zh: "身份提供商要求本站未做的操作。请告知网站管理员。",
    }
    GoesRound {
        en: "Signing in goes round in circles and was stopped.",
        de: "Die Anmeldung dreht sich im Kreis und wurde angehalten.",
        es: "El inicio de sesión da vueltas en círculo y se ha detenido.",
        fr: "La connexion tourne en rond et a été arrêtée.",
        ja: "サインインが繰り返されているため、停止しました。",
        ko: "로그인이 계속 반복되어 중지되었습니다.",
        zh: "登录陷入循环，已停止。",
    }
    SignInNotSeen {
        en: "You signed in, but this site did not see it afterwards. Please tell whoever runs it.",
        de: "Sie haben sich angemeldet, aber diese Website hat es danach nicht erkannt. Bitte informieren Sie die Betreiber.",
        es: "Usted inició sesión, pero este sitio no lo reconoció después. Avise a quien lo administra.",
        fr: "Vous vous êtes connecté, mais ce site ne l’a pas reconnu ensuite. Veuillez prévenir la personne qui le gère.",
        ja: "サインインは完了しましたが、その後このサイトで確認できませんでした。サイトの管理者にお知らせください。",
        ko: "로그인했지만 이후 이 사이트에서 확인되지 않았습니다. 사이트 관리자에게 알려 주십시오.",
        zh: "您已登录，但本站随后未能识别。请告知网站管理员。",
    }
    AnswerIncomplete {
        en: "What came back from the identity provider is incomplete. Please sign in again.",
        de: "Was vom Identitätsanbieter zurückkam, ist unvollständig. Bitte melden Sie sich erneut an.",
        es: "Lo que devolvió el proveedor de identidad está incompleto. Vuelva a iniciar sesión.",
        fr: "Ce que le fournisseur d’identité a renvoyé est incomplet. Veuillez vous reconnecter.",
        ja: "ID プロバイダーから返された内容が不完全です。もう一度サインインしてください。",
        ko: "ID 제공자가 보낸 내용이 완전하지 않습니다. 다시 로그인하십시오.",
        zh: "身份提供商返回的内容不完整。请重新登录。",
    }
    SignInNotKept {
        en: "Your sign-in could not be kept. Please try again shortly.",
        de: "Ihre Anmeldung konnte nicht gespeichert werden. Bitte versuchen Sie es in Kürze erneut.",
        es: "No se pudo guardar su inicio de sesión. Vuelva a intentarlo en breve.",
        fr: "Votre connexion n’a pas pu être conservée. Veuillez réessayer dans un instant.",
        ja: "サインインを保存できませんでした。しばらくしてからもう一度お試しください。",
        ko: "로그인을 저장하지 못했습니다. 잠시 후 다시 시도하십시오.",
        zh: "无法保存您的登录。请稍后重试。",
    }
    ProviderSentNoCode {
        en: "The identity provider sent no code.",
        de: "Der Identitätsanbieter hat keinen Code gesendet.",
        es: "El proveedor de identidad no envió ningún código.",
        fr: "Le fournisseur d’identité n’a envoyé aucun code.",
        ja: "ID プロバイダーからコードが送信されませんでした。",
        ko: "ID 제공자가 코드를 보내지 않았습니다.",
        zh: "身份提供商未发送授权码。",
    }
    NoSuchProvider {
        en: "There is no such identity provider here.",
        de: "Diesen Identitätsanbieter gibt es hier nicht.",
        es: "Aquí no existe ese proveedor de identidad.",
        fr: "Ce fournisseur d’identité n’existe pas ici.",
        ja: "この ID プロバイダーは登録されていません。",
        ko: "여기에 없는 ID 제공자입니다.",
        zh: "此处没有该身份提供商。",
    }
    ChooseAProvider {
        en: "Please choose one of those on the sign-in page.",
        de: "Bitte wählen Sie einen von denen auf der Anmeldeseite.",
        es: "Elija uno de los que figuran en la página de inicio de sesión.",
        fr: "Veuillez en choisir un sur la page de connexion.",
        ja: "サインインページに表示されているものから選択してください。",
        ko: "로그인 페이지에 있는 것 중에서 선택하십시오.",
        zh: "请从登录页面上的选项中选择一个。",
    }
    // Signing out.
    SignedOut {
        en: "Signed out",
        de: "Abgemeldet",
        es: "Sesión cerrada",
        fr: "Déconnecté",
        ja: "サインアウトしました",
        ko: "로그아웃됨",
        zh: "已退出登录",
    }
    SignedOutEverywhere {
        en: "You are signed out here and at the identity provider.",
        de: "Sie sind hier und beim Identitätsanbieter abgemeldet.",
        es: "Se ha cerrado su sesión aquí y en el proveedor de identidad.",
        fr: "Vous êtes déconnecté ici et auprès du fournisseur d’identité.",
        ja: "このサイトと ID プロバイダーの両方からサインアウトしました。",
        ko: "이 사이트와 ID 제공자에서 모두 로그아웃되었습니다.",
        zh: "您已在本网站和身份提供商处退出登录。",
    }
    SignedOutHere {
        en: "You are signed out here.",
        de: "Sie sind hier abgemeldet.",
        es: "Se ha cerrado su sesión aquí.",
        fr: "Vous êtes déconnecté ici.",
        ja: "ここからサインアウトしました。",
        ko: "여기에서 로그아웃되었습니다.",
        zh: "您已在此退出登录。",
    }
    OtherApplications {
        en: "Applications that you used may still know you; sign out there too.",
        de: "Anwendungen, die Sie benutzt haben, kennen Sie vielleicht noch; melden Sie sich auch dort ab.",
        es: "Es posible que su sesión siga abierta en otras aplicaciones; ciérrela también en ellas.",
        fr: "Vous êtes peut-être encore connecté aux applications utilisées\u{202f}; déconnectez-vous-en aussi.",
        ja: "ご利用になったアプリケーションには、まだサインインしている場合があります。そちらでもサインアウトしてください。",
        ko: "사용하신 애플리케이션에는 아직 로그인되어 있을 수 있습니다. 그곳에서도 로그아웃하십시오.",
        zh: "您使用过的应用程序可能仍保持登录，请在其中一并退出。",
    }
    MaybeNotSignedOut {
        en: "You may not be signed out.",
        de: "Möglicherweise sind Sie nicht abgemeldet.",
        es: "Es posible que su sesión no se haya cerrado.",
        fr: "Il se peut que vous ne soyez pas déconnecté.",
        ja: "サインアウトできていない可能性があります。",
        ko: "로그아웃되지 않았을 수 있습니다.",
        zh: "您可能尚未退出登录。",
    }
    SessionStillStored {
        en: "This browser has forgotten your session, but it could not be removed from the session store. Whoever else holds its cookie can use it until it expires.",
        de: "Dieser Browser hat Ihre Sitzung vergessen, sie konnte aber nicht aus dem Sitzungsspeicher entfernt werden. Wer sonst ihr Cookie hat, kann sie bis zu ihrem Ablauf benutzen.",
        es: "Este navegador ha olvidado su sesión, pero no se pudo eliminar del almacén de sesiones. Quien tenga también su cookie podrá usarla hasta que caduque.",
        fr: "Ce navigateur a oublié votre session, mais elle n’a pas pu être supprimée du stockage des sessions. Toute autre personne qui détient son cookie peut l’utiliser jusqu’à son expiration.",
        ja: "このブラウザーのセッションは破棄されましたが、セッションストアからは削除できませんでした。同じ Cookie を持つ人は、有効期限が切れるまでそのセッションを使用できます。",
        ko: "이 브라우저에서는 세션이 삭제되었지만 세션 저장소에서는 삭제하지 못했습니다. 같은 쿠키를 가진 사람은 만료될 때까지 이 세션을 사용할 수 있습니다.",
        zh: "此浏览器已清除您的会话，但未能将其从会话存储中删除。持有该 Cookie 的其他人在其过期之前仍可使用。",
    }
    SignOutQuestion {
        en: "Sign out?",
        de: "Abmelden?",
        es: "¿Cerrar sesión?",
        fr: "Se déconnecter\u{202f}?",
        ja: "サインアウトしますか?",
        ko: "로그아웃하시겠습니까?",
        zh: "要退出登录吗？",
    }
    // The built-in server: signing in to an application.
    ToContinueTo {
        en: "to continue to {client}",
        de: "um mit {client} fortzufahren",
        es: "para continuar a {client}",
        fr: "pour continuer vers {client}",
        ja: "{client} に進みます",
        ko: "{client}(으)로 계속합니다",
        zh: "以继续访问 {client}",
    }
    EnterBoth {
        en: "Enter your user name and your password.",
        de: "Geben Sie Ihren Benutzernamen und Ihr Passwort ein.",
        es: "Introduzca su nombre de usuario y su contraseña.",
        fr: "Saisissez votre nom d’utilisateur et votre mot de passe.",
        ja: "ユーザー名とパスワードを入力してください。",
        ko: "사용자 이름과 비밀번호를 입력하십시오.",
        zh: "请输入用户名和密码。",
    }
    OpenTooLong {
        en: "The page was open for too long, or cookies are off. Try again.",
        de: "Die Seite war zu lange geöffnet, oder Cookies sind ausgeschaltet. Versuchen Sie es erneut.",
        es: "La página estuvo abierta demasiado tiempo o las cookies están desactivadas. Vuelva a intentarlo.",
        fr: "La page est restée ouverte trop longtemps, ou les cookies sont désactivés. Réessayez.",
        ja: "ページを長時間開いていたか、Cookie が無効になっています。もう一度お試しください。",
        ko: "페이지가 너무 오래 열려 있었거나 쿠키가 꺼져 있습니다. 다시 시도하십시오.",
        zh: "页面打开时间过长，或 Cookie 已被禁用。请重试。",
    }
    NotJustNow {
        en: "You could not be signed in just now. Wait a moment and try again.",
        de: "Sie konnten gerade nicht angemeldet werden. Warten Sie einen Moment und versuchen Sie es erneut.",
        es: "No se ha podido iniciar su sesión. Espere un momento y vuelva a intentarlo.",
        fr: "La connexion n’a pas pu aboutir. Attendez un instant et réessayez.",
        ja: "サインインできませんでした。しばらく待ってからもう一度お試しください。",
        ko: "지금은 로그인할 수 없습니다. 잠시 기다린 후 다시 시도하십시오.",
        zh: "暂时无法登录。请稍候再试。",
    }
    NameTaken {
        en: "Somebody who signs in another way has your user name here already. Ask the person who runs this site.",
        de: "Jemand, der sich auf andere Weise anmeldet, hat Ihren Benutzernamen hier bereits. Wenden Sie sich an die Person, die diese Website betreibt.",
        es: "Alguien que inicia sesión de otra forma ya usa su nombre de usuario aquí. Consulte a quien administra este sitio.",
        fr: "Une personne qui se connecte autrement utilise déjà votre nom d’utilisateur ici. Adressez-vous à la personne qui gère ce site.",
        ja: "別の方法でサインインしている方が、同じユーザー名をすでに使用しています。このサイトの管理者にお問い合わせください。",
        ko: "다른 방법으로 로그인하는 사용자가 이미 같은 사용자 이름을 사용하고 있습니다. 이 사이트의 관리자에게 문의하십시오.",
        zh: "已有人以其他登录方式使用了您的用户名。请联系本网站的管理员。",
    }
    NoAccount {
        en: "You have no account here. Ask the person who runs this site.",
        de: "Sie haben hier kein Konto. Wenden Sie sich an die Person, die diese Website betreibt.",
        es: "No tiene una cuenta aquí. Consulte a quien administra este sitio.",
        fr: "Vous n’avez pas de compte ici. Adressez-vous à la personne qui gère ce site.",
        ja: "ここにはアカウントがありません。このサイトの管理者にお問い合わせください。",
        ko: "여기에 계정이 없습니다. 이 사이트의 관리자에게 문의하십시오.",
        zh: "您在此没有账号。请联系本网站的管理员。",
    }
    YouAreNotSignedIn {
        en: "You are not signed in",
        de: "Sie sind nicht angemeldet",
        es: "No ha iniciado sesión",
        fr: "Vous n’êtes pas connecté",
        ja: "サインインできませんでした",
        ko: "로그인되지 않았습니다",
        zh: "您尚未登录",
    }
    TryAgainOrAsk {
        en: "Try again. If that does not help, ask the person who runs this site.",
        de: "Versuchen Sie es erneut. Wenn das nicht hilft, wenden Sie sich an die Person, die diese Website betreibt.",
        es: "Vuelva a intentarlo. Si no funciona, consulte a quien administra este sitio.",
        fr: "Réessayez. Si le problème persiste, adressez-vous à la personne qui gère ce site.",
        ja: "もう一度お試しください。解決しない場合は、このサイトの管理者にお問い合わせください。",
        ko: "다시 시도하십시오. 해결되지 않으면 이 사이트의 관리자에게 문의하십시오.",
        zh: "请重试。如果仍有问题，请联系本网站的管理员。",
    }
    AskTheOperator {
        en: "Ask the person who runs this site.",
        de: "Wenden Sie sich an die Person, die diese Website betreibt.",
        es: "Consulte a quien administra este sitio.",
        fr: "Adressez-vous à la personne qui gère ce site.",
        ja: "このサイトの管理者にお問い合わせください。",
        ko: "이 사이트의 관리자에게 문의하십시오.",
        zh: "请联系本网站的管理员。",
    }
    SignInIsOver {
        en: "This sign-in is over: it took too long, or was used before.",
        de: "Diese Anmeldung ist abgelaufen: Sie hat zu lange gedauert oder wurde schon benutzt.",
        es: "Este inicio de sesión ha caducado: tardó demasiado o ya se utilizó.",
        fr: "Cette connexion a expiré\u{a0}: elle a pris trop de temps ou a déjà servi.",
        ja: "このサインインは終了しました。時間がかかりすぎたか、すでに使用されています。",
        ko: "이 로그인은 만료되었습니다. 시간이 너무 오래 걸렸거나 이미 사용되었습니다.",
        zh: "此次登录已失效：耗时过长，或已被使用过。",
    }
    BegunInAnotherBrowser {
        en: "This sign-in was begun in another browser.",
        de: "Diese Anmeldung wurde in einem anderen Browser begonnen.",
        es: "Este inicio de sesión se comenzó en otro navegador.",
        fr: "Cette connexion a été commencée dans un autre navigateur.",
        ja: "このサインインは別のブラウザーで開始されました。",
        ko: "이 로그인은 다른 브라우저에서 시작되었습니다.",
        zh: "此次登录是在另一个浏览器中开始的。",
    }
    AnswerOfAnotherProvider {
        en: "The answer comes from another provider.",
        de: "Die Antwort kommt von einem anderen Anbieter.",
        es: "La respuesta procede de otro proveedor.",
        fr: "La réponse vient d’un autre fournisseur.",
        ja: "この応答は別のプロバイダーからのものです。",
        ko: "이 응답은 다른 제공자에서 온 것입니다.",
        zh: "该响应来自另一个提供商。",
    }
    ProviderDidNotSignYouIn {
        en: "The provider did not sign you in.",
        de: "Der Anbieter hat Sie nicht angemeldet.",
        es: "El proveedor no inició su sesión.",
        fr: "Le fournisseur ne vous a pas connecté.",
        ja: "プロバイダーでサインインできませんでした。",
        ko: "제공자가 로그인을 처리하지 않았습니다.",
        zh: "提供商未完成您的登录。",
    }
    ProviderDoesNotSayWho {
        en: "The provider does not say who you are.",
        de: "Der Anbieter teilt nicht mit, wer Sie sind.",
        es: "El proveedor no indica quién es usted.",
        fr: "Le fournisseur n’indique pas qui vous êtes.",
        ja: "プロバイダーからユーザーの情報が提供されませんでした。",
        ko: "제공자가 사용자가 누구인지 알려 주지 않습니다.",
        zh: "提供商未说明您的身份。",
    }
    NoAccess {
        en: "You have no access here.",
        de: "Sie haben hier keinen Zugriff.",
        es: "No tiene acceso aquí.",
        fr: "Vous n’avez pas accès à ce site.",
        ja: "ここへのアクセス権がありません。",
        ko: "여기에 접근할 수 없습니다.",
        zh: "您无权访问此处。",
    }
    ProviderRefused {
        en: "The provider refused the sign-in.",
        de: "Der Anbieter hat die Anmeldung abgelehnt.",
        es: "El proveedor rechazó el inicio de sesión.",
        fr: "Le fournisseur a refusé la connexion.",
        ja: "プロバイダーがサインインを拒否しました。",
        ko: "제공자가 로그인을 거부했습니다.",
        zh: "提供商拒绝了此次登录。",
    }
    ProviderTooWeak {
        en: "The sign-in at the provider is not as strong as is demanded.",
        de: "Die Anmeldung beim Anbieter ist nicht so stark wie verlangt.",
        es: "El inicio de sesión en el proveedor no es tan seguro como se exige.",
        fr: "La connexion auprès du fournisseur n’est pas aussi forte que demandé.",
        ja: "プロバイダーでの認証の強度が、要求を満たしていません。",
        ko: "제공자에서의 로그인이 요구되는 수준만큼 강력하지 않습니다.",
        zh: "在提供商处的登录强度未达到要求。",
    }
    ProviderUnreachable {
        en: "The provider cannot be reached.",
        de: "Der Anbieter ist nicht erreichbar.",
        es: "No se puede acceder al proveedor.",
        fr: "Le fournisseur est injoignable.",
        ja: "プロバイダーに接続できません。",
        ko: "제공자에 연결할 수 없습니다.",
        zh: "无法连接提供商。",
    }
    ProviderTellsNoEmail {
        en: "The provider does not tell your e-mail address.",
        de: "Der Anbieter teilt Ihre E-Mail-Adresse nicht mit.",
        es: "El proveedor no indica su dirección de correo electrónico.",
        fr: "Le fournisseur n’indique pas votre adresse e-mail.",
        ja: "プロバイダーからメールアドレスが提供されませんでした。",
        ko: "제공자가 이메일 주소를 알려 주지 않습니다.",
        zh: "提供商未提供您的电子邮件地址。",
    }
    EmailNotVerifiedAtProvider {
        en: "Your e-mail address is not verified at the provider.",
        de: "Ihre E-Mail-Adresse ist beim Anbieter nicht bestätigt.",
        es: "Su dirección de correo electrónico no está verificada en el proveedor.",
        fr: "Votre adresse e-mail n’est pas vérifiée auprès du fournisseur.",
        ja: "メールアドレスがプロバイダーで確認されていません。",
        ko: "이메일 주소가 제공자에서 확인되지 않았습니다.",
        zh: "您的电子邮件地址尚未在提供商处验证。",
    }
    AnswerNotComplete {
        en: "The answer of the provider is not complete.",
        de: "Die Antwort des Anbieters ist nicht vollständig.",
        es: "La respuesta del proveedor no está completa.",
        fr: "La réponse du fournisseur est incomplète.",
        ja: "プロバイダーの応答が不完全です。",
        ko: "제공자의 응답이 완전하지 않습니다.",
        zh: "提供商的响应不完整。",
    }
    AnswerNotAccepted {
        en: "The answer of the provider was not accepted.",
        de: "Die Antwort des Anbieters wurde nicht angenommen.",
        es: "No se aceptó la respuesta del proveedor.",
        fr: "La réponse du fournisseur n’a pas été acceptée.",
        ja: "プロバイダーの応答は受け付けられませんでした。",
        ko: "제공자의 응답이 받아들여지지 않았습니다.",
        zh: "提供商的响应未被接受。",
    }
    // The built-in server: pages that end something.
    NotAvailable {
        en: "Not available",
        de: "Nicht verfügbar",
        es: "No disponible",
        fr: "Indisponible",
        ja: "利用できません",
        ko: "사용할 수 없음",
        zh: "暂不可用",
    }
    NoAnswerNow {
        en: "Your request cannot be answered just now.",
        de: "Ihre Anfrage kann gerade nicht beantwortet werden.",
        es: "En este momento no se puede responder a su solicitud.",
        fr: "Votre requête ne peut pas être traitée pour le moment.",
        ja: "現在、リクエストに応答できません。",
        ko: "지금은 요청에 응답할 수 없습니다.",
        zh: "目前无法处理您的请求。",
    }
    WaitAndTryAgain {
        en: "Wait a moment and try again.",
        de: "Warten Sie einen Moment und versuchen Sie es erneut.",
        es: "Espere un momento y vuelva a intentarlo.",
        fr: "Attendez un instant et réessayez.",
        ja: "しばらく待ってからもう一度お試しください。",
        ko: "잠시 기다린 후 다시 시도하십시오.",
        zh: "请稍候再试。",
    }
    NotNow {
        en: "Not now",
        de: "Im Moment nicht",
        es: "Ahora no",
        fr: "Pas maintenant",
        ja: "しばらくお待ちください",
        ko: "잠시 기다려 주십시오",
        zh: "请稍候",
    }
    TooManySignIns {
        en: "Too many people sign in from your network at the moment.",
        de: "Im Moment melden sich zu viele Personen aus Ihrem Netzwerk an.",
        es: "En este momento hay demasiadas personas iniciando sesión desde su red.",
        fr: "Trop de personnes se connectent depuis votre réseau en ce moment.",
        ja: "現在、お使いのネットワークからのサインインが集中しています。",
        ko: "현재 같은 네트워크에서 너무 많은 사람이 로그인하고 있습니다.",
        zh: "目前您所在的网络中登录的人过多。",
    }
    FormNotAccepted {
        en: "Not accepted",
        de: "Nicht angenommen",
        es: "No aceptado",
        fr: "Non accepté",
        ja: "受け付けられませんでした",
        ko: "받아들여지지 않음",
        zh: "未被接受",
    }
    FormTooOld {
        en: "The form was open for too long, or comes from another site.",
        de: "Das Formular war zu lange geöffnet oder stammt von einer anderen Website.",
        es: "El formulario estuvo abierto demasiado tiempo o procede de otro sitio.",
        fr: "Le formulaire est resté ouvert trop longtemps ou provient d’un autre site.",
        ja: "フォームを長時間開いていたか、別のサイトから送信されました。",
        ko: "양식이 너무 오래 열려 있었거나 다른 사이트에서 온 것입니다.",
        zh: "表单打开时间过长，或来自其他网站。",
    }
    ReloadAndTryAgain {
        en: "Go back, reload the page and try again. Cookies have to be on.",
        de: "Gehen Sie zurück, laden Sie die Seite neu und versuchen Sie es erneut. Cookies müssen eingeschaltet sein.",
        es: "Vuelva atrás, recargue la página e inténtelo de nuevo. Las cookies deben estar activadas.",
        fr: "Revenez en arrière, rechargez la page et réessayez. Les cookies doivent être activés.",
        ja: "前のページに戻り、再読み込みしてからもう一度お試しください。Cookie を有効にする必要があります。",
        ko: "뒤로 돌아가 페이지를 새로 고친 후 다시 시도하십시오. 쿠키를 켜야 합니다.",
        zh: "请返回并刷新页面后重试。必须启用 Cookie。",
    }
    NotFoundHere {
        en: "Not found",
        de: "Nicht gefunden",
        es: "No encontrado",
        fr: "Page introuvable",
        ja: "見つかりません",
        ko: "찾을 수 없음",
        zh: "未找到",
    }
    NoWayToSignIn {
        en: "No way to sign in",
        de: "Keine Anmeldung möglich",
        es: "No es posible iniciar sesión",
        fr: "Connexion impossible",
        ja: "サインインできません",
        ko: "로그인할 수 없음",
        zh: "无法登录",
    }
    NoWayWithBrowser {
        en: "There is no way to sign in here with a browser.",
        de: "Hier ist keine Anmeldung mit einem Browser möglich.",
        es: "Aquí no es posible iniciar sesión con un navegador.",
        fr: "Il n’est pas possible de se connecter ici avec un navigateur.",
        ja: "ここではブラウザーからサインインできません。",
        ko: "여기에서는 브라우저로 로그인할 수 없습니다.",
        zh: "此处无法通过浏览器登录。",
    }
    RequestNotGranted {
        en: "This request cannot be granted",
        de: "Diese Anfrage kann nicht erfüllt werden",
        es: "No se puede atender esta solicitud",
        fr: "Cette requête ne peut pas être accordée",
        ja: "このリクエストは許可できません",
        ko: "이 요청을 승인할 수 없습니다",
        zh: "无法批准此请求",
    }
    LinkIsWrong {
        en: "The link or the application that brought you here has to be mended.",
        de: "Der Link oder die Anwendung, die Sie hierher geführt hat, muss korrigiert werden.",
        es: "Hay que corregir el enlace o la aplicación que le ha traído aquí.",
        fr: "Le lien ou l’application qui vous a conduit ici doit être corrigé.",
        ja: "ここに移動してきたリンクまたはアプリケーションを修正する必要があります。",
        ko: "여기로 연결한 링크나 애플리케이션을 수정해야 합니다.",
        zh: "将您引导至此的链接或应用程序需要修正。",
    }
    NotYours {
        en: "Not yours to answer",
        de: "Nicht an Sie gerichtet",
        es: "No le corresponde responder",
        fr: "Cette question ne vous est pas adressée",
        ja: "この確認には回答できません",
        ko: "답할 수 없는 질문입니다",
        zh: "此问题不由您回答",
    }
    AskedOfSomebodyElse {
        en: "This question was asked of somebody else, or of an earlier sign-in.",
        de: "Diese Frage wurde jemand anderem gestellt oder gehört zu einer früheren Anmeldung.",
        es: "Esta pregunta se hizo a otra persona o en un inicio de sesión anterior.",
        fr: "Cette question a été posée à quelqu’un d’autre, ou lors d’une connexion précédente.",
        ja: "この確認は別の方、または以前のサインインに対するものです。",
        ko: "이 질문은 다른 사람 또는 이전 로그인에 대한 것입니다.",
        zh: "此问题是向他人或在之前的登录中提出的。",
    }
    BeginAgain {
        en: "Go back to the application and begin again.",
        de: "Gehen Sie zur Anwendung zurück und beginnen Sie von vorn.",
        es: "Vuelva a la aplicación y empiece de nuevo.",
        fr: "Revenez à l’application et recommencez.",
        ja: "アプリケーションに戻り、最初からやり直してください。",
        ko: "애플리케이션으로 돌아가 처음부터 다시 시작하십시오.",
        zh: "请返回应用程序并重新开始。",
    }
    PageIsOver {
        en: "This page is over",
        de: "Diese Seite ist abgelaufen",
        es: "Esta página ha caducado",
        fr: "Cette page a expiré",
        ja: "このページは期限切れです",
        ko: "이 페이지는 만료되었습니다",
        zh: "此页面已失效",
    }
    AnsweredBefore {
        en: "It was open for too long, or was answered before.",
        de: "Sie war zu lange geöffnet oder wurde bereits beantwortet.",
        es: "Estuvo abierta demasiado tiempo o ya se respondió.",
        fr: "Elle est restée ouverte trop longtemps ou a déjà reçu une réponse.",
        ja: "長時間開いていたか、すでに回答されています。",
        ko: "너무 오래 열려 있었거나 이미 답변되었습니다.",
        zh: "页面打开时间过长，或已作过回答。",
    }
    SignedIn {
        en: "Signed in",
        de: "Angemeldet",
        es: "Sesión iniciada",
        fr: "Connecté",
        ja: "サインインしました",
        ko: "로그인됨",
        zh: "已登录",
    }
    SentBack {
        en: "You are being sent back to the application.",
        de: "Sie werden zur Anwendung zurückgeleitet.",
        es: "Se le está devolviendo a la aplicación.",
        fr: "Vous allez être renvoyé vers l’application.",
        ja: "アプリケーションに戻ります。",
        ko: "애플리케이션으로 돌아갑니다.",
        zh: "正在返回应用程序。",
    }
    // The built-in server: consent.
    AllowAccess {
        en: "Allow access?",
        de: "Zugriff erlauben?",
        es: "¿Permitir el acceso?",
        fr: "Autoriser l’accès\u{202f}?",
        ja: "アクセスを許可しますか?",
        ko: "접근을 허용하시겠습니까?",
        zh: "要允许访问吗？",
    }
    AllowClient {
        en: "Allow {client}?",
        de: "{client} erlauben?",
        es: "¿Permitir {client}?",
        fr: "Autoriser {client}\u{202f}?",
        ja: "{client} を許可しますか?",
        ko: "{client}을(를) 허용하시겠습니까?",
        zh: "要允许 {client} 吗？",
    }
    ClientAsks {
        en: "The application {client} asks for access to your account {user}.",
        de: "Die Anwendung {client} bittet um Zugriff auf Ihr Konto {user}.",
        es: "La aplicación {client} solicita acceso a su cuenta {user}.",
        fr: "L’application {client} demande l’accès à votre compte {user}.",
        ja: "アプリケーション {client} が、アカウント {user} へのアクセスを求めています。",
        ko: "애플리케이션 {client}에서 계정 {user}에 대한 접근을 요청합니다.",
        zh: "应用程序 {client} 请求访问您的账号 {user}。",
    }
    ClientAtPlaceAsks {
        en: "The application {client} at {place} asks for access to your account {user}.",
        de: "Die Anwendung {client} unter {place} bittet um Zugriff auf Ihr Konto {user}.",
        es: "La aplicación {client} de {place} solicita acceso a su cuenta {user}.",
        fr: "L’application {client} sur {place} demande l’accès à votre compte {user}.",
        ja: "{place} のアプリケーション {client} が、アカウント {user} へのアクセスを求めています。",
        ko: "{place}의 애플리케이션 {client}에서 계정 {user}에 대한 접근을 요청합니다.",
        zh: "位于 {place} 的应用程序 {client} 请求访问您的账号 {user}。",
    }
    ItMay {
        en: "It may",
        de: "Sie darf",
        es: "Podrá",
        fr: "Elle pourra",
        ja: "許可する内容",
        ko: "허용할 내용",
        zh: "它可以",
    }
    AllowedBefore {
        en: "Allowed before:",
        de: "Bereits erlaubt:",
        es: "Ya permitido:",
        fr: "Déjà autorisé\u{a0}:",
        ja: "以前に許可済み:",
        ko: "이전에 허용됨:",
        zh: "之前已允许：",
    }
    Allow {
        en: "Allow",
        de: "Erlauben",
        es: "Permitir",
        fr: "Autoriser",
        ja: "許可",
        ko: "허용",
        zh: "允许",
    }
    Deny {
        en: "Deny",
        de: "Ablehnen",
        es: "Denegar",
        fr: "Refuser",
        ja: "拒否",
        ko: "거부",
        zh: "拒绝",
    }
    ScopeFull {
        en: "Do everything that you may do",
        de: "Alles tun, was Sie tun dürfen",
        es: "Hacer todo lo que usted puede hacer",
        fr: "Faire tout ce que vous pouvez faire",
        ja: "ご自身に許可されているすべての操作",
        ko: "사용자가 할 수 있는 모든 작업 수행",
        zh: "执行您有权执行的所有操作",
    }
    ScopeUserInfo {
        en: "See your user name and your groups",
        de: "Ihren Benutzernamen und Ihre Gruppen sehen",
        es: "Ver su nombre de usuario y sus grupos",
        fr: "Voir votre nom d’utilisateur et vos groupes",
        ja: "ユーザー名とグループの表示",
        ko: "사용자 이름과 그룹 보기",
        zh: "查看您的用户名和所属组",
    }
    ScopeCheckAccess {
        en: "See what you may do",
        de: "Sehen, was Sie tun dürfen",
        es: "Ver lo que usted puede hacer",
        fr: "Voir ce que vous pouvez faire",
        ja: "許可されている操作の表示",
        ko: "허용된 작업 보기",
        zh: "查看您有权执行的操作",
    }
    ScopeListProjects {
        en: "See your projects",
        de: "Ihre Projekte sehen",
        es: "Ver sus proyectos",
        fr: "Voir vos projets",
        ja: "プロジェクトの表示",
        ko: "프로젝트 보기",
        zh: "查看您的项目",
    }
    ScopeListScopedProjects {
        en: "See your projects, as far as it may use them",
        de: "Ihre Projekte sehen, soweit sie sie benutzen darf",
        es: "Ver sus proyectos, en la medida en que pueda usarlos",
        fr: "Voir vos projets, dans la mesure où elle peut les utiliser",
        ja: "利用が許可されているプロジェクトの表示",
        ko: "사용이 허용된 프로젝트 보기",
        zh: "查看它可以使用的您的项目",
    }
    ScopeOpenId {
        en: "Know who you are",
        de: "Erfahren, wer Sie sind",
        es: "Saber quién es usted",
        fr: "Savoir qui vous êtes",
        ja: "ご本人の確認",
        ko: "사용자가 누구인지 확인",
        zh: "获知您的身份",
    }
    ScopeProfile {
        en: "See your name",
        de: "Ihren Namen sehen",
        es: "Ver su nombre",
        fr: "Voir votre nom",
        ja: "名前の表示",
        ko: "이름 보기",
        zh: "查看您的姓名",
    }
    ScopeEmail {
        en: "See your e-mail address",
        de: "Ihre E-Mail-Adresse sehen",
        es: "Ver su dirección de correo electrónico",
        fr: "Voir votre adresse e-mail",
        ja: "メールアドレスの表示",
        ko: "이메일 주소 보기",
        zh: "查看您的电子邮件地址",
    }
    ScopeGroups {
        en: "See your groups",
        de: "Ihre Gruppen sehen",
        es: "Ver sus grupos",
        fr: "Voir vos groupes",
        ja: "グループの表示",
        ko: "그룹 보기",
        zh: "查看您所属的组",
    }
    ScopeOfflineAccess {
        en: "Act for you while you are away",
        de: "In Ihrem Namen handeln, während Sie abwesend sind",
        es: "Actuar en su nombre cuando usted no está",
        fr: "Agir en votre nom en votre absence",
        ja: "不在時に代理で操作すること",
        ko: "사용자가 없는 동안 대신 작업 수행",
        zh: "在您离开时代表您操作",
    }
    ScopeRoleEverywhere {
        en: "Do what the role {role} may do, everywhere",
        de: "Überall tun, was die Rolle {role} tun darf",
        es: "Hacer en todas partes lo que puede hacer el rol {role}",
        fr: "Faire partout ce que le rôle {role} peut faire",
        ja: "あらゆる場所で、ロール {role} に許可されている操作",
        ko: "모든 곳에서 역할 {role}에 허용된 작업 수행",
        zh: "在所有位置执行角色 {role} 有权执行的操作",
    }
    ScopeRole {
        en: "Do what the role {role} may do in {namespace}",
        de: "In {namespace} tun, was die Rolle {role} tun darf",
        es: "Hacer en {namespace} lo que puede hacer el rol {role}",
        fr: "Faire dans {namespace} ce que le rôle {role} peut faire",
        ja: "{namespace} で、ロール {role} に許可されている操作",
        ko: "{namespace}에서 역할 {role}에 허용된 작업 수행",
        zh: "在 {namespace} 中执行角色 {role} 有权执行的操作",
    }
    FullWarning {
        en: "It can do anything with your account, also change and delete.",
        de: "Sie kann mit Ihrem Konto alles tun, auch ändern und löschen.",
        es: "Puede hacer cualquier cosa con su cuenta, también cambiar y eliminar.",
        fr: "Elle peut tout faire avec votre compte, y compris modifier et supprimer.",
        ja: "変更や削除を含め、お使いのアカウントであらゆる操作ができるようになります。",
        ko: "변경과 삭제를 포함하여 이 계정으로 모든 작업을 할 수 있습니다.",
        zh: "它可以使用您的账号执行任何操作，包括更改和删除。",
    }
    EscalationWarning {
        en: "This includes reading secrets and gaining further rights.",
        de: "Dazu gehört, Geheimnisse zu lesen und weitere Rechte zu erlangen.",
        es: "Esto incluye leer secretos y obtener más permisos.",
        fr: "Cela inclut la lecture de secrets et l’obtention d’autres droits.",
        ja: "これには、シークレットの読み取りと、さらなる権限の取得が含まれます。",
        ko: "여기에는 시크릿 읽기와 추가 권한 획득이 포함됩니다.",
        zh: "这包括读取机密信息和获取更多权限。",
    }
    // The built-in server: tokens for the command line.
    YourToken {
        en: "Your token",
        de: "Ihr Token",
        es: "Su token",
        fr: "Votre jeton",
        ja: "アクセストークン",
        ko: "토큰",
        zh: "您的令牌",
    }
    KeepTokenSafe {
        en: "Whoever knows the token can act as you. Make sure that nobody else sees your screen.",
        de: "Wer das Token kennt, kann in Ihrem Namen handeln. Achten Sie darauf, dass niemand sonst Ihren Bildschirm sieht.",
        es: "Quien conozca el token puede actuar en su nombre. Asegúrese de que nadie más vea su pantalla.",
        fr: "Quiconque connaît le jeton peut agir en votre nom. Assurez-vous que personne d’autre ne voit votre écran.",
        ja: "トークンを知っている人は、ご本人として操作できます。ほかの人に画面を見られないようにしてください。",
        ko: "토큰을 아는 사람은 누구나 사용자를 대신해 작업할 수 있습니다. 다른 사람이 화면을 보지 않도록 하십시오.",
        zh: "知道该令牌的人可以以您的身份操作。请确保没有其他人能看到您的屏幕。",
    }
    DisplayToken {
        en: "Display token",
        de: "Token anzeigen",
        es: "Mostrar token",
        fr: "Afficher le jeton",
        ja: "トークンを表示",
        ko: "토큰 표시",
        zh: "显示令牌",
    }
    ExpiresIn {
        en: "It expires in {time}.",
        de: "Es läuft in {time} ab.",
        es: "Caduca en {time}.",
        fr: "Il expire dans {time}.",
        ja: "有効期限は残り {time}です。",
        ko: "{time} 후에 만료됩니다.",
        zh: "它将在 {time}后过期。",
    }
    DoesNotExpire {
        en: "It does not expire.",
        de: "Es läuft nicht ab.",
        es: "No caduca.",
        fr: "Il n’expire pas.",
        ja: "有効期限はありません。",
        ko: "만료되지 않습니다.",
        zh: "它不会过期。",
    }
    ShownOnce {
        en: "It is shown only once.",
        de: "Es wird nur einmal angezeigt.",
        es: "Solo se muestra una vez.",
        fr: "Il n’est affiché qu’une seule fois.",
        ja: "一度しか表示されません。",
        ko: "한 번만 표시됩니다.",
        zh: "它只显示一次。",
    }
    LogInWithIt {
        en: "Log in with it",
        de: "Damit anmelden",
        es: "Iniciar sesión con él",
        fr: "Se connecter avec ce jeton",
        ja: "トークンを使ってログインする",
        ko: "토큰으로 로그인",
        zh: "使用令牌登录",
    }
    UseWithApi {
        en: "Use it against the API",
        de: "Mit der API verwenden",
        es: "Usarlo con la API",
        fr: "L’utiliser avec l’API",
        ja: "API で使用する",
        ko: "API에서 사용",
        zh: "用于调用 API",
    }
    RequestAnotherToken {
        en: "Request another token",
        de: "Ein weiteres Token anfordern",
        es: "Solicitar otro token",
        fr: "Demander un autre jeton",
        ja: "別のトークンをリクエスト",
        ko: "다른 토큰 요청",
        zh: "申请另一个令牌",
    }
    NoToken {
        en: "No token",
        de: "Kein Token",
        es: "Sin token",
        fr: "Aucun jeton",
        ja: "トークンがありません",
        ko: "토큰 없음",
        zh: "没有令牌",
    }
    TokenShownBefore {
        en: "It was shown before, or the page was open for too long.",
        de: "Es wurde bereits angezeigt, oder die Seite war zu lange geöffnet.",
        es: "Ya se mostró antes, o la página estuvo abierta demasiado tiempo.",
        fr: "Il a déjà été affiché, ou la page est restée ouverte trop longtemps.",
        ja: "すでに表示されたか、ページを長時間開いていました。",
        ko: "이미 표시되었거나 페이지가 너무 오래 열려 있었습니다.",
        zh: "它已显示过，或页面打开时间过长。",
    }
    // Spans of time, as they stand in "It expires in {time}."
    OneDay {
        en: "1 day",
        de: "1 Tag",
        es: "1 día",
        fr: "1 jour",
        ja: "1 日",
        ko: "1일",
        zh: "1 天",
    }
    Days {
        en: "{count} days",
        de: "{count} Tagen",
        es: "{count} días",
        fr: "{count} jours",
        ja: "{count} 日",
        ko: "{count}일",
        zh: "{count} 天",
    }
    OneHour {
        en: "1 hour",
        de: "1 Stunde",
        es: "1 hora",
        fr: "1 heure",
        ja: "1 時間",
        ko: "1시간",
        zh: "1 小时",
    }
    Hours {
        en: "{count} hours",
        de: "{count} Stunden",
        es: "{count} horas",
        fr: "{count} heures",
        ja: "{count} 時間",
        ko: "{count}시간",
        zh: "{count} 小时",
    }
    OneMinute {
        en: "1 minute",
        de: "1 Minute",
        es: "1 minuto",
        fr: "1 minute",
        ja: "1 分",
        ko: "1분",
        zh: "1 分钟",
    }
    Minutes {
        en: "{count} minutes",
        de: "{count} Minuten",
        es: "{count} minutos",
        fr: "{count} minutes",
        ja: "{count} 分",
        ko: "{count}분",
        zh: "{count} 分钟",
    }
    Seconds {
        en: "{count} seconds",
        de: "{count} Sekunden",
        es: "{count} segundos",
        fr: "{count} secondes",
        ja: "{count} 秒",
        ko: "{count}초",
        zh: "{count} 秒",
    }
}
