import { Component, type ReactNode } from 'react';
import { CircleAlert } from 'lucide-react';
import type { Say } from '../../language/words';
import { Button } from '../controls/button';
import { Empty } from '../controls/empty';

/** A view fell over: say so and offer the way back. Nothing written is lost, the core keeps it. */
export class Fallen extends Component<{ say: Say; children: ReactNode }, { fallen: boolean }> {
  override state = { fallen: false };

  static getDerivedStateFromError() {
    return { fallen: true };
  }

  override render() {
    const { say, children } = this.props;
    if (!this.state.fallen) return children;
    return (
      <main className="main">
        <Empty page icon={CircleAlert} title={say('fallen')} actions={<Button look="primary" onClick={() => location.reload()}>{say('load_again')}</Button>}>
          {say('fallen_text')}
        </Empty>
      </main>
    );
  }
}
